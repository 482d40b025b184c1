import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation import UNLABELED, AnnotatedSlices, hold_out, slice_folds
from keras_unet3d.errors import InputError

indices = st.sets(st.integers(0, 9), max_size=6).map(tuple)


@settings(max_examples=50, deadline=None)
@given(st.builds(AnnotatedSlices, indices, indices, indices).filter(lambda s: len(s) > 1), st.data())
def test_every_slice_is_held_out_once_and_folds_are_even(slices, data):
    folds = slice_folds(slices, data.draw(st.integers(2, len(slices))))
    held_out = [one for fold in folds for one in fold.held_out]
    assert sorted(held_out) == list(slices)
    for fold in folds:
        assert sorted([*fold.kept, *fold.held_out]) == list(slices)
    for axis in range(3):
        counts = [len(fold.held_out.per_axis[axis]) for fold in folds]
        assert max(counts) - min(counts) <= 1
    sizes = [len(fold.held_out) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_a_subset_is_spread_over_its_orientation():
    assert [str(fold.held_out) for fold in slice_folds(AnnotatedSlices(z=(1, 2, 3, 4, 5, 6), x=(8, 9)), 3)] == [
        "z=1,4 x=8",
        "z=2,5 x=9",
        "z=3,6",
    ]


@pytest.mark.parametrize("folds", [0, 1, 3])
def test_folds_need_slices(folds):
    with pytest.raises(InputError, match="2 to 2 folds for 2 annotated slices"):
        slice_folds(AnnotatedSlices(z=(1, 2)), folds)


def test_a_held_out_voxel_is_unlabelled_in_training_where_a_kept_slice_crosses_it():
    annotated = AnnotatedSlices(z=(1,), y=(2,))
    class_index = np.where(annotated.mask((3, 4, 5)), 1, UNLABELED).astype(np.int16)
    training, validation = hold_out(class_index, AnnotatedSlices(y=(2,)))
    assert (training[:, 2] == UNLABELED).all()  # z=1 crosses it at (1, 2, :)
    assert (validation[:, 2] == 1).all()
    assert (training != UNLABELED).sum() == 4 * 5 - 5
    assert (validation != UNLABELED).sum() == 3 * 5


@settings(max_examples=30, deadline=None)
@given(st.builds(AnnotatedSlices, *(st.sets(st.integers(0, n - 1)).map(tuple) for n in (3, 4, 5))), st.integers(0, 9))
def test_every_label_is_in_one_of_the_two_maps(held_out, seed):
    class_index = np.random.default_rng(seed).integers(-1, 3, (3, 4, 5)).astype(np.int16)
    training, validation = hold_out(class_index, held_out)
    assert not ((training != UNLABELED) & (validation != UNLABELED)).any()
    np.testing.assert_array_equal(np.maximum(training, validation), class_index)
