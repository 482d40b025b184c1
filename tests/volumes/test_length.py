import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.length import Length


def test_a_length_is_read_with_its_unit_or_without():
    assert Length.parse("1.5 mm") == Length(1.5, "mm")
    assert Length.parse("2um") == Length(2, "µm")
    assert Length.parse(" 5e-1 inch ") == Length(12.7, "mm")
    assert Length.parse("3") == Length(3)
    assert str(Length.parse("0.50 microns")) == "0.5 µm"


def test_it_is_converted_where_both_units_are_known():
    assert Length(2, "mm").in_unit("µm") == pytest.approx(2000)
    assert Length(2).in_unit("µm") == 2
    assert Length(2, "mm").in_unit("") == 2


@pytest.mark.parametrize("text", ["", "mm", "2 pixels", "-1 mm", "inf", "nan mm", "1e", "1 2"])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="Received"):
        Length.parse(text)
