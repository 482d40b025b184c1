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


def names(found):
    return [each.name for each in found]


def test_the_slice_that_the_model_is_unsure_of_comes_first():
    (first,) = suggest_slices(uncertain_at((1, 5)), NONE, (1, 1, 1), 1)
    assert (first.name, first.uncertainty) == ("y=5", pytest.approx(0.9))
    assert 0.5 < first.gain <= 1


def test_what_is_annotated_is_not_asked_for_again_nor_what_lies_beside_it():
    labelled = AnnotatedSlices(y=(4,)).mask(SHAPE)
    (first,) = suggest_slices(uncertain_at((1, 4), (1, 5), (1, 12)), labelled, (1, 1, 1), 1)
    assert first.name == "y=12"
    assert first.distance == pytest.approx(8)


@pytest.mark.parametrize("unsure", [slice(None), slice(31, 32)])
def test_large_volumes_are_not_asked_for_annotated_slices_either(unsure):
    labelled = AnnotatedSlices(z=tuple(range(1, 64, 2))).mask((64, 80, 80))
    uncertainty = np.zeros(labelled.shape, np.float32)
    uncertainty[unsure] = 0.5
    found = suggest_slices(uncertainty, labelled, (1, 1, 1), 2)
    assert all(each.axis or not each.index % 2 for each in found)
    assert bool(found) == (unsure == slice(None))


def test_of_equal_neighbours_one_is_enough():
    found = suggest_slices(uncertain_at((0, 1), (0, 2), (0, 9)), NONE, (1, 1, 1), 2)
    assert set(names(found)) in ({"z=1", "z=9"}, {"z=2", "z=9"})
    assert as_slices(found) == AnnotatedSlices(z=tuple(each.index for each in found))


def test_distances_are_those_in_space():
    """Two voxels along z are as far apart as ten along x."""
    labelled = AnnotatedSlices(z=(6,)).mask(SHAPE)
    (near,) = suggest_slices(uncertain_at((0, 8)), labelled, (5, 1, 1), 1)
    assert (near.name, near.distance) == ("z=8", pytest.approx(10))


def test_with_nothing_else_to_tell_a_flat_volume_is_cut_in_its_middle():
    found = suggest_slices(np.ones((9, 33, 33), np.float32), np.zeros((9, 33, 33), bool), (1, 1, 1), 3)
    assert names(found)[0] == "z=4"
    gains = [each.gain for each in found]
    assert gains == sorted(gains, reverse=True)
    assert sum(gains) < 1


def test_large_volumes_are_looked_at_in_cells_and_slices_are_still_named_by_voxels():
    uncertainty = np.zeros((60, 130, 150), np.float32)
    uncertainty[:, 77] = 1
    (first,) = suggest_slices(uncertainty, np.zeros(uncertainty.shape, bool), (1, 1, 1), 1)
    assert first.axis == 1
    assert abs(first.index - 77) <= 1


def test_a_volume_without_anything_unknown_has_no_slice_to_annotate():
    assert suggest_slices(np.zeros(SHAPE, np.float32), NONE, (1, 1, 1), 3) == []
    assert suggest_slices(np.ones(SHAPE, np.float32), ~NONE, (1, 1, 1), 3) == []
    with pytest.raises(InputError, match="one slice or more"):
        suggest_slices(np.ones(SHAPE, np.float32), NONE, (1, 1, 1), 0)


def test_no_more_slices_than_there_are():
    found = suggest_slices(np.ones((2, 2, 2), np.float32), np.zeros((2, 2, 2), bool), (1, 1, 1), 10)
    assert len(set(names(found))) == len(found) <= 6
