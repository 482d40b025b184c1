import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation import UNLABELED, AnnotatedSlices, case_folds, hold_out, slice_folds
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


@given(
    st.dictionaries(st.text("abc", min_size=1), st.sets(st.sampled_from("xyz")), min_size=2, max_size=12),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_every_labelled_case_is_left_out_once_and_no_fold_loses_a_class(classes, folds, seed):
    labelled = [name for name, found in classes.items() if found]
    try:
        parts = case_folds(classes, folds, seed)
    except InputError:
        shares = [sum(each in found for found in classes.values()) for each in "xyz"]
        assert len(labelled) < folds or 1 in shares or len(labelled) // folds > 1  # else any two cases are apart
        return
    assert sorted(name for part in parts for name in part) == sorted(labelled)
    sizes = [len(part) for part in parts]
    assert len(parts) == folds
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        learned = set().union(*(found for name, found in classes.items() if name not in part))
        assert learned == set().union(*classes.values())
    assert parts == case_folds(dict(reversed(classes.items())), folds, seed)


def test_a_class_of_two_cases_is_in_two_folds_whatever_the_seed():
    classes = {name: {"background"} for name in "abcdefgh"} | {"a": {"cyst", "background"}, "b": {"cyst"}}
    for seed in range(20):
        first, second = case_folds(classes, 2, seed)
        assert ("a" in first) != ("b" in first)
        assert len(first) == len(second) == 4
    assert len({case_folds(classes, 2, seed)[0] for seed in range(20)}) > 5


def test_folds_that_cannot_be_dealt_say_why():
    two = {"a": ["x", "y"], "b": ["x", "y"], "empty": []}
    assert sorted(case_folds(two, 2)) == [("a",), ("b",)]
    for folds in (0, 1, 3):
        with pytest.raises(InputError, match=f"cases with labels, 2. Received: {folds}"):
            case_folds(two, folds)
    with pytest.raises(InputError, match="Only b has labels of cyst: the fold that leaves this case out"):
        case_folds(two | {"b": ["x", "y", "cyst"]}, 2)
    pairs = {"a": "xy", "b": "xz", "c": "yz"}  # of three cases in two folds, one leaves out two
    with pytest.raises(InputError, match="3 cases were dealt into 2 folds in 1000 ways"):
        case_folds(pairs, 2)
    assert sorted(case_folds(pairs, 3)) == [("a",), ("b",), ("c",)]
