"""Every way to mirror along the axes that all models saw mirrored; what is refused is tested with the jobs."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.inference.mirrored_axes import axis_combinations, common_axes


def test_z_y_x_are_counted_from_0_and_only_common_ones_are_taken():
    models = [SimpleNamespace(name="a", mirrored_axes=("y", "x")), SimpleNamespace(name="b", mirrored_axes=("z", "x"))]
    assert common_axes(models[:1]) == (1, 2)
    assert common_axes(models) == (2,)


@given(st.sets(st.integers(0, 2)))
def test_each_axis_doubles_the_ways_and_the_first_mirrors_none(axes):
    found = axis_combinations(sorted(axes))
    assert len(set(found)) == len(found) == 2 ** len(axes)
    assert found[0] == ()
