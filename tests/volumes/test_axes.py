import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named, parse_named


def test_sizes_are_written_x_first_and_by_name():
    assert named((64, 244, 248)) == "x=248 y=244 z=64"
    assert named((2.04, 1.76, 1.76), "µm") == "x=1.76 y=1.76 z=2.04 µm"


@pytest.mark.parametrize("text", ["x=3 y=2 z=1", "z=1 y=2 x=3", "Z = 1, Y = 2, X = 3", "z=1,y=2,x=3"])
def test_named_sizes_are_read_in_any_order(text):
    assert parse_named(text) == (1, 2, 3)


def test_what_is_written_is_read_back():
    assert parse_named(named((0.5, 12, 1e-3))) == (0.5, 12, 1e-3)


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "x=1 y=2", "x=1 y=2 z=3 z=4", "x=1 y=2 t=3", "x=a y=2 z=3", "x=-1 y=2 z=3"]
)
def test_anything_else_is_refused_with_what_was_received(text):
    with pytest.raises(InputError, match="x=64 y=64 z=32") as caught:
        parse_named(text)
    assert repr(text) in str(caught.value)
