import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.volumes import box
from keras_unet3d.volumes.box import Box, read_mirrored


def test_a_box_in_words_and_numbers():
    place = Box.at((1, 2, 3), (4, 5, 6))
    assert place == Box((1, 2, 3), (5, 7, 9))
    assert place.shape == (4, 5, 6)
    assert str(place) == "x=3:9 y=2:7 z=1:5"
    assert place.shifted((1, -1, 0)) == Box((2, 1, 3), (6, 6, 9))
    assert place.grown((2, 2, 2)) == Box((-1, 0, 1), (7, 9, 11))
    assert place.grown((2, 1, 0)).grown((-2, -1, 0)) == place


def test_slices_cut_the_box_out():
    voxels = np.arange(6 * 7 * 8).reshape(6, 7, 8)
    place = Box.at((1, 2, 3), (2, 3, 4))
    np.testing.assert_array_equal(voxels[place.slices], voxels[1:3, 2:5, 3:7])


def test_clipping_keeps_the_inside_and_never_turns_negative():
    assert Box((-2, 1, 5), (3, 4, 20)).clipped((10, 10, 10)) == Box((0, 1, 5), (3, 4, 10))
    assert Box((-5, 12, 0), (-1, 15, 1)).clipped((10, 10, 10)).shape == (0, 0, 1)


@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    before=st.tuples(*[st.integers(0, 12)] * 3),
    after=st.tuples(*[st.integers(0, 12)] * 3),
)
def test_what_lies_outside_is_mirrored_as_numpy_does(shape, before, after):
    voxels = np.random.default_rng(0).integers(0, 1000, (*shape, 2))
    stop = [size + more for size, more in zip(shape, after, strict=True)]
    place = Box(tuple(-value for value in before), tuple(stop))
    padding = [*zip(before, after, strict=True), (0, 0)]
    np.testing.assert_array_equal(read_mirrored(voxels, place), np.pad(voxels, padding, mode="reflect"))


class InFile:
    """Voxels of which only parts can be had; counts how often each was read."""

    def __init__(self, voxels):
        self.shape, self.dtype, self.ndim = voxels.shape, voxels.dtype, voxels.ndim
        self.reads = np.zeros(voxels.shape[:3], int)
        self._voxels = voxels

    def __getitem__(self, part):
        self.reads[part] += 1
        return self._voxels[part].copy()


@pytest.mark.parametrize("at_once", [1, 200, 1 << 22])
@given(
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    start=st.tuples(*[st.integers(-20, 20)] * 3),
    size=st.tuples(*[st.integers(0, 20)] * 3),
    channels=st.sampled_from([(), (2,)]),
)
def test_voxels_in_a_file_are_mirrored_as_an_array_is_and_read_once(at_once, shape, start, size, channels):
    voxels = np.random.default_rng(0).integers(0, 1000, (*shape, *channels))
    stored, place = InFile(voxels), Box.at(start, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box, "_READ_AT_ONCE", at_once)
        result = read_mirrored(stored, place)
    np.testing.assert_array_equal(result, read_mirrored(voxels, place))
    assert stored.reads.max() <= 1


@given(
    part=st.lists(st.builds(slice, *[st.none() | st.integers(-9, 9)] * 2), min_size=1, max_size=3),
    shape=st.tuples(*[st.integers(1, 7)] * 3),
)
def test_a_part_is_the_box_that_arrays_mean_by_it(part, shape):
    voxels = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(voxels[Box.of(tuple(part), shape).slices], voxels[tuple(part)])


@pytest.mark.parametrize("part", [slice(0, 4, 2), (slice(None),) * 4, 3, (slice(None), 3)])
def test_what_is_no_part_is_refused(part):
    with pytest.raises(IndexError, match="Expected up to three slices without a step"):
        Box.of(part, (5, 5, 5))


def test_a_box_wholly_outside_can_be_read():
    line = np.arange(3).reshape(1, 1, 3)
    assert read_mirrored(line, Box((5, -9, -6), (6, -8, -3))).ravel().tolist() == [2, 1, 0]
