"""Which slice teaches most."""

import numpy as np
import pytest

from keras_unet3d import InputError
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.evaluation.suggestion import as_slices, suggest_slices

SHAPE = (12, 16, 20)
NONE = np.zeros(SHAPE, bool)


def uncertain_at(*slices):
    uncertainty = np.full(SHAPE, 0.01, np.float32)
    for axis, index in slices:
        np.moveaxis(uncertainty, axis, 0)[index] = 0.9
    return uncertainty


def uncertain_like(labelled, z):
    uncertainty = np.full(labelled.shape, 0.01, np.float32)
    uncertainty[z] = 0.9
    return uncertainty


def names(found):
    return [each.name for each in found]


def test_the_slice_that_the_model_is_unsure_of_comes_first():
    labelled = AnnotatedSlices(z=(6,), x=(10,)).mask(SHAPE)
    (first,) = suggest_slices(uncertain_at((1, 5)), labelled, (1, 1, 1), 1)
    assert (first.name, first.uncertainty, first.distance) == ("y=5", pytest.approx(0.9), np.inf)
    assert 0.9 < first.gain <= 1


def test_what_is_annotated_is_not_asked_for_again_nor_what_lies_beside_it():
    labelled = AnnotatedSlices((6,), (4,), (10,)).mask(SHAPE)
    (first,) = suggest_slices(uncertain_at((1, 4), (1, 5), (1, 12)), labelled, (1, 3, 1), 1)
    assert first.name == "y=12"
    assert first.distance == pytest.approx(24)  # eight slices


def test_of_equal_neighbours_one_is_enough():
    labelled = AnnotatedSlices(y=(8,), x=(10,)).mask(SHAPE)
    found = suggest_slices(uncertain_at((0, 1), (0, 2), (0, 9)), labelled, (1, 1, 1), 2)
    assert set(names(found)) in ({"z=1", "z=9"}, {"z=2", "z=9"})
    assert as_slices(found) == AnnotatedSlices(z=tuple(each.index for each in found))


def test_an_orientation_that_nobody_has_annotated_comes_first():
    labelled = AnnotatedSlices(z=tuple(range(1, 12, 3)), x=(3, 10, 17)).mask(SHAPE)
    (first,) = suggest_slices(np.ones(SHAPE, np.float32), labelled, (1, 1, 1), 1)
    assert first.name in {"y=7", "y=8"}


@pytest.mark.parametrize("shape", [(30, 33, 32), (64, 40, 60)])
def test_with_nothing_to_tell_slices_are_uniform_along_each_axis(shape):
    """As the paper's."""
    found = suggest_slices(np.ones(shape, np.float32), np.zeros(shape, bool), (5, 1, 1), 9)
    for axis, length in enumerate(shape):
        places = sorted(each.index / (length - 1) for each in found if each.axis == axis)
        assert places == pytest.approx([1 / 6, 1 / 2, 5 / 6], abs=0.05)


def test_a_small_box_of_labels_annotates_no_slice():
    labelled = np.zeros((64, 64, 64), bool)
    labelled[20:44, 20:44, 20:44] = True
    found = suggest_slices(np.ones(labelled.shape, np.float32), labelled, (1, 1, 1), 6)
    assert sorted(each.axis for each in found) == [0, 0, 1, 1, 2, 2]
    assert np.isinf(found[0].distance)


@pytest.mark.parametrize("annotated", [(5, 15, 25), (12,), (14, 15), (5, 6, 15, 16, 25, 26), (5, 20, 21, 22, 23)])
def test_slices_that_are_painted_around_the_object_are_annotated(annotated):
    """Less than half of each has a label; the slice beside one that was painted came first."""
    labelled = AnnotatedSlices(x=(3, 4, 5, 6)).mask((30, 40, 40))
    for z in annotated:
        labelled[z, 6:32, 6:32] = True
    found = suggest_slices(np.ones(labelled.shape, np.float32), labelled, (1, 1, 1), 12)
    along_z = [each for each in found if each.axis == 0]
    assert along_z
    assert all(np.isfinite(each.distance) for each in along_z)
    assert min(abs(each.index - z) for each in along_z for z in annotated) > 2


def test_a_scribble_annotates_no_slice():
    labelled = np.zeros((30, 32, 32), bool)
    labelled[14, 10, 10:20] = True
    (first,) = suggest_slices(uncertain_like(labelled, 14), labelled, (1, 1, 1), 1)
    assert first.name == "z=14"


def test_large_slices_come_first_and_more_often():
    shape = (12, 72, 72)
    found = suggest_slices(np.ones(shape, np.float32), np.zeros(shape, bool), (1, 1, 1), 9)
    assert [each.axis for each in found[:3]] == [0, 1, 2]
    assert sum(each.axis == 0 for each in found) > 3


def test_slices_lie_where_the_model_is_unsure():
    """In the lower half of z alone, there as uniformly."""
    uncertainty = np.zeros((64, 64, 64), np.float32)
    uncertainty[32:] = 0.5
    found = suggest_slices(uncertainty, np.zeros(uncertainty.shape, bool), (1, 1, 1), 9)
    assert sorted(each.index for each in found if each.axis == 0) == pytest.approx([37, 47, 58], abs=1)


@pytest.mark.parametrize("unsure", [slice(None), slice(31, 32)])
def test_annotated_slices_are_never_named(unsure):
    labelled = AnnotatedSlices(z=tuple(range(1, 64, 2))).mask((64, 80, 80))
    uncertainty = np.zeros(labelled.shape, np.float32)
    uncertainty[unsure] = 0.5
    found = suggest_slices(uncertainty, labelled, (1, 1, 1), 50)
    assert all(each.axis or not each.index % 2 for each in found)
    assert bool(found) == (unsure == slice(None))


def test_a_volume_without_anything_unknown_has_no_slice_to_annotate():
    assert suggest_slices(np.zeros(SHAPE, np.float32), NONE, (1, 1, 1), 3) == []
    assert suggest_slices(np.ones(SHAPE, np.float32), ~NONE, (1, 1, 1), 3) == []
    with pytest.raises(InputError, match="one slice or more"):
        suggest_slices(np.ones(SHAPE, np.float32), NONE, (1, 1, 1), 0)


def test_no_more_slices_than_there_are():
    found = suggest_slices(np.ones((2, 2, 2), np.float32), np.zeros((2, 2, 2), bool), (1, 1, 1), 10)
    assert len(set(names(found))) == len(found)
    assert 3 <= len(found) <= 6  # with one of each orientation, the others are beside it
