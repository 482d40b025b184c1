import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.volumes.mirroring import fold, mirrored_range


def test_the_border_voxel_is_not_repeated():
    assert mirrored_range(-3, 7, 4).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]


@given(length=st.integers(2, 30), before=st.integers(0, 100), after=st.integers(0, 100))
def test_mirroring_is_numpys_reflect(length, before, after):
    line = np.arange(length)
    expected = np.pad(line, (before, after), mode="reflect")
    np.testing.assert_array_equal(line[mirrored_range(-before, length + after, length)], expected)


def test_a_single_voxel_repeats():
    assert mirrored_range(-50, 50, 1).tolist() == [0] * 100


@given(index=st.integers(-(10**6), 10**6), length=st.integers(1, 100))
def test_a_folded_index_lies_inside_and_folds_to_itself(index, length):
    folded = fold(index, length)
    assert 0 <= folded < length
    assert fold(folded, length) == folded
    assert fold(-index, length) == folded


@pytest.mark.parametrize("length", [1, 2, 5])
def test_integers_and_arrays_fold_alike(length):
    indices = np.arange(-20, 20)
    assert fold(indices, length).tolist() == [fold(int(index), length) for index in indices]
