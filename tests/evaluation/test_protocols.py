"""The paper's experiments: what is learned from, and what is scored."""

import numpy as np
import pytest

from keras_unet3d import Grid, InputError, Volume
from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.evaluation.protocols import DENSE_FOLD_SLICES, NETWORKS, STEPS, parts_of, spread_slices
from keras_unet3d.training.settings import read_settings

SHAPE = (24, 32, 40)


def case(name, slices=None):
    """A ball in a box; with the labels of some slices, or all."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    truth = ((z - 12) ** 2 + (y - 16) ** 2 + (x - 20) ** 2 < 100).astype(np.int16)
    labels = truth if slices is None else np.where(slices.mask(SHAPE), truth, np.int16(UNLABELED))
    return AnnotatedCase(name, Volume(np.zeros((*SHAPE, 1), np.float32), Grid(SHAPE)), labels)


ANNOTATED = AnnotatedSlices(z=(3, 6, 9, 12, 15, 18), y=(10, 14, 18), x=(10, 20, 30))


def slices_of(labels):
    return AnnotatedCase("", None, labels).annotated_slices


def test_each_annotated_slice_is_scored_by_one_subset_that_has_not_learned_it():
    sparse = case("a", ANNOTATED)
    parts = parts_of("semi", [sparse, case("b", ANNOTATED)])
    assert [part.name for part in parts] == ["subset 1", "subset 2", "subset 3"]
    held_out = []
    for part in parts:
        learned, scored = part.shares["a"].parted(sparse.class_index)
        held_out += list(part.shares["a"].left_out)
        assert len(slices_of(scored)) == 4  # of twelve
        assert np.count_nonzero(learned != UNLABELED) + np.count_nonzero(scored != UNLABELED) == np.count_nonzero(
            sparse.class_index != UNLABELED
        )
    assert sorted(held_out) == sorted(ANNOTATED)


def test_of_dense_labels_subsets_are_slices_too():
    dense = case("a")
    times = np.zeros(dense.class_index.shape, int)
    for part in parts_of("semi", [dense]):
        learned, scored = part.shares["a"].parted(dense.class_index)
        assert 0.2 < (learned != UNLABELED).mean() < 0.7
        assert not ((learned != UNLABELED) & (scored != UNLABELED)).any()
        times += scored != UNLABELED
    slices = spread_slices(dense.class_index, DENSE_FOLD_SLICES)
    np.testing.assert_array_equal(times > 0, slices.mask(times.shape))
    assert times.max() > 1  # where slices of two subsets cross


def test_steps_learn_from_more_and_more_slices_and_are_scored_on_what_no_step_learns():
    sparse = case("a", ANNOTATED)
    parts = parts_of("sparsity", [sparse, case("b", ANNOTATED)], steps=[(1, 1, 1), (3, 2, 2)])
    assert [(part.name, part.alone) for part in parts] == [
        (name, alone) for name in ("x=1 y=1 z=1", "x=2 y=2 z=3") for alone in ("a", "b")
    ]
    parts = [part for part in parts if part.alone == "a"]
    assert all(list(part.shares) == ["a"] and not part.note for part in parts)
    learned, scored = zip(*(part.shares["a"].parted(sparse.class_index) for part in parts), strict=True)
    np.testing.assert_array_equal(*scored)
    few, more = (labels != UNLABELED for labels in learned)
    assert few.sum() < more.sum()
    assert not (few & ~more).any()
    assert slices_of(scored[0]) == AnnotatedSlices(z=(6, 12, 18), y=(18,), x=(30,))
    for labels in learned:
        assert not ((labels != UNLABELED) & (scored[0] != UNLABELED)).any()


def test_of_dense_labels_every_voxel_that_no_step_learns_is_scored():
    dense = case("a")
    parts = parts_of("sparsity", [dense], steps=STEPS[:2])
    scored = [part.shares["a"].parted(dense.class_index)[1] != UNLABELED for part in parts]
    used = [part.shares["a"].parted(dense.class_index)[0] != UNLABELED for part in parts]
    np.testing.assert_array_equal(*scored)
    np.testing.assert_array_equal(scored[0], ~(used[0] | used[1]))


def test_a_step_with_fewer_slices_than_its_name_says_so():
    (part,) = parts_of("sparsity", [case("a", ANNOTATED)], steps=[(2, 5, 3)])
    assert part.note == "a has only 3 slices of y: rows that name more learn from all of them."


def test_steps_that_leave_nothing_to_score_are_refused():
    with pytest.raises(InputError, match="none is left to score on"):
        parts_of("sparsity", [case("a", AnnotatedSlices(z=(3, 9)))], steps=[(2, 0, 0)])


def test_each_volume_is_left_out_once():
    cases = [case("a"), case("b", ANNOTATED), case("c")]
    parts = parts_of("full", cases)
    for out, part in zip(cases, parts, strict=True):
        scored = [name for name, share in part.shares.items() if not share.learned]
        assert scored == [out.name]
    with pytest.raises(InputError, match="two or more"):
        parts_of("full", cases[:1])


def test_slices_are_spread_over_the_structure():
    slices = spread_slices(case("a").class_index, (2, 1, 3))
    assert [len(indices) for indices in slices.per_axis] == [2, 1, 3]
    assert all(3 <= index <= 21 for index in slices.z)
    assert all(11 <= index <= 29 for index in slices.x)
    assert slices.y == (16,)


def test_networks_are_the_papers():
    given = read_settings(None, {"network.filters": 4})
    networks = {each.name: each.of(given).network for each in NETWORKS}
    found = {name: (network.dimensions, network.normalization) for name, network in networks.items()}
    assert found == {"3D without BN": (3, "none"), "3D with BN": (3, "batch"), "2D with BN": (2, "batch")}
    assert {network.filters for network in networks.values()} == {4}


def test_of_slices_of_one_orientation_no_row_learns_the_same_again():
    """Painted in napari or Fiji, in z alone."""
    only_z = case("a", AnnotatedSlices(z=(0, 4, 8, 12, 16, 20)))
    parts = parts_of("sparsity", [only_z])
    assert [part.name for part in parts] == ["x=1 y=1 z=1", "x=3 y=3 z=2", "x=5 y=5 z=3"]
    assert all(
        part.note.endswith("Rows in which a would learn from the same slices again leave it out.") for part in parts
    )
