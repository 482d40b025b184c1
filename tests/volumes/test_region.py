import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.region import Region

SHAPE = (300, 40, 60)


@pytest.mark.parametrize(
    "text", ["z=100:200,y=:,x=50:", "z=100:200 y=: x=50:", "x = 50: ,z=100 : 200", "X=50: Z=100:200"]
)
def test_a_region_is_named_with_blanks_or_commas(text):
    assert Region.parse(text) == Region(z=(100, 200), x=(50, None))
    assert Region.parse(text).box(SHAPE) == Box((100, 0, 50), (200, 40, 60))
    assert str(Region.parse(text)) == "z=100:200 y=: x=50:"


@given(*(st.tuples(st.none() | st.integers(0, 20), st.none() | st.integers(21, 40)) for _ in range(3)))
def test_ranges_mean_what_slices_mean(z, y, x):
    region = Region(z, y, x)
    assert Region.parse(str(region)) == region
    assert region.box((40, 40, 40)) == Box.of((slice(*z), slice(*y), slice(*x)), (40, 40, 40))


@pytest.mark.parametrize("text", ["", "100:200", "z=5", "z=-5:9", "z=1:2:3", "z=1:2 z=3:4", "t=1:2", "z=a:b"])
def test_another_form_is_refused(text):
    with pytest.raises(InputError, match="Expected a range of voxels for some axes, each once"):
        Region.parse(text)


@pytest.mark.parametrize("text", ["z=5:5", "y=7:3", "x=:0"])
def test_a_range_without_voxels_is_refused(text):
    with pytest.raises(InputError, match="has a range without voxels"):
        Region.parse(text)


@pytest.mark.parametrize("text", ["z=:301", "y=40:", "x=60:61"])
def test_outside_of_the_volume_is_refused_with_its_size(text):
    with pytest.raises(InputError, match=r"brain\.nii: has x=60 y=40 z=300; the region .* reaches outside"):
        Region.parse(text).box(SHAPE, "brain.nii")
