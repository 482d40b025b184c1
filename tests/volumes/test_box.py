import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.volumes.box import Box, read_mirrored


def test_a_box_in_words_and_numbers():
    box = Box.at((1, 2, 3), (4, 5, 6))
    assert box == Box((1, 2, 3), (5, 7, 9))
    assert box.shape == (4, 5, 6)
    assert str(box) == "x=3:9 y=2:7 z=1:5"
    assert box.shifted((1, -1, 0)) == Box((2, 1, 3), (6, 6, 9))
    assert box.grown(2) == Box((-1, 0, 1), (7, 9, 11))
    assert box.grown(2).grown(-2) == box


def test_slices_cut_the_box_out():
    voxels = np.arange(6 * 7 * 8).reshape(6, 7, 8)
    box = Box.at((1, 2, 3), (2, 3, 4))
    np.testing.assert_array_equal(voxels[box.slices], voxels[1:3, 2:5, 3:7])


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
    box = Box(tuple(-value for value in before), tuple(stop))
    padding = [*zip(before, after, strict=True), (0, 0)]
    np.testing.assert_array_equal(read_mirrored(voxels, box), np.pad(voxels, padding, mode="reflect"))


def test_a_box_wholly_outside_can_be_read():
    line = np.arange(3).reshape(1, 1, 3)
    assert read_mirrored(line, Box((5, -9, -6), (6, -8, -3))).ravel().tolist() == [2, 1, 0]
