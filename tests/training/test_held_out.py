"""What is held out is never learned from, and no class is lost by it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.annotation.resampling import resampled_labels
from keras_unet3d.errors import InputError
from keras_unet3d.training.held_out import Preparation, held_out_decision, part
from keras_unet3d.volumes.intensity import FARTHEST, Intensities, Window
from keras_unet3d.volumes.resampling import resampled_grid
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.volume import Grid, Volume


def case(name, class_index, seed=0):
    shape = class_index.shape
    image = np.random.default_rng(seed).normal(100, 7, (*shape, 2)).astype(np.float32)
    return AnnotatedCase(name, Volume(image, Grid(shape, (2.0, 1.0, 1.0))), class_index.astype(np.int16))


def dense(name, classes=2, shape=(4, 6, 6)):
    return case(name, np.arange(np.prod(shape)).reshape(shape) % classes)


def sliced(z=(), y=(), x=(), shape=(20, 22, 24)):
    """Two classes, labelled in some slices; alternating so that every slice holds both."""
    labels = np.full(shape, -1)
    checkers = np.indices(shape).sum(axis=0) % 2
    for axis, indices in enumerate((z, y, x)):
        for index in indices:
            at = (slice(None),) * axis + (index,)
            labels[at] = checkers[at]
    return labels


def test_one_case_in_ten_is_held_out_whole():
    cases = [dense(f"case {number}") for number in range(20)]
    parted = part(cases, "auto")
    learned, validated = ([volume.name for volume in volumes] for volumes in (parted.training, parted.validation))
    assert (len(learned), len(validated)) == (18, 2)
    assert not set(learned) & set(validated)
    assert parted.sentence == f"Held out for validation: 2 of 20 cases ({validated[0]}, {validated[1]})."


def test_a_case_that_alone_has_a_class_is_not_held_out():
    usual = part([dense(str(number)) for number in range(6)], "cases").validation[0].name
    cases = [dense(str(number), classes=3 if str(number) == usual else 2) for number in range(6)]
    parted = part(cases, "cases")
    assert parted.validation[0].name != usual
    assert usual in [volume.name for volume in parted.training]


def test_a_case_without_labels_validates_nothing():
    cases = [case(str(number), np.full((4, 6, 6), -1)) for number in range(6)]
    cases[1:1] = [dense("one"), dense("two")]
    assert part(cases, "cases").validation[0].name in ("one", "two")
    with pytest.raises(InputError, match="at least two cases with labels"):
        part([cases[0], dense("alone")], "cases")


def test_where_every_case_is_needed_slices_are_held_out():
    """Five cases, each with a class of its own."""
    cases = []
    for number in range(5):
        labels = np.full((8, 8, 8), -1)
        labels[::3] = number
        cases.append(case(str(number), labels))
    parted = part(cases, "auto")
    assert parted.sentence == "Held out for validation: 3 of 15 annotated slices."
    assert part(cases, "cases").sentence == "Nothing is held out for validation: the labels are too few to spare any."


def test_what_will_be_held_out_is_a_decision_before_anything_is_read():
    six, five = sliced(z=(2, 8, 14), y=(5,), x=(3, 17)), sliced(z=(2, 8), y=(5, 9), x=(3,))
    for cases, told in (
        ([case("a", six)], "slices: held out for validation: 1 of 6 annotated slices"),
        ([case("a", five)], "nothing: nothing is held out for validation: the labels are too few to spare any"),
        ([dense(name) for name in "abcdef"], "cases: held out for validation: 1 of 6 cases (c)"),
    ):
        raw = [each.image.voxels.copy() for each in cases]
        (decision,) = held_out_decision(cases, "auto", None)
        assert str(decision) == f"hold_out = {told}"
        for before, each in zip(raw, cases, strict=True):
            np.testing.assert_array_equal(each.image.voxels, before)
        assert part(cases, "auto").sentence.lower() == decision.reason + "."
    assert held_out_decision([case("a", six)], "nothing", None) == []
    with pytest.raises(InputError, match="at least two cases"):
        held_out_decision([dense("alone")], "cases", None)


def test_a_held_out_slice_is_unlabelled_also_where_a_kept_one_crosses():
    """Dealt in order z, y, x, the third of six is held out: z=14."""
    labels = sliced(z=(2, 8, 14), y=(5,), x=(3, 17))
    parted = part([case("a", labels)], "auto")
    learned, validated = parted.training[0].class_index, parted.validation[0].class_index
    assert parted.sentence == "Held out for validation: 1 of 6 annotated slices."
    assert (learned[14] == -1).all()
    np.testing.assert_array_equal(validated[14], labels[14])
    assert (validated[np.arange(20) != 14] == -1).all()
    np.testing.assert_array_equal(np.where(learned == -1, validated, learned), labels)


@given(
    st.lists(st.sets(st.integers(0, 9).map(lambda index: 2 * index), max_size=4), min_size=3, max_size=3),
    st.sampled_from(["auto", "slices"]),
    st.integers(0, 2),
)
def test_every_label_is_learned_from_or_validated_on_and_no_class_is_lost(slices, mode, rare_at):
    labels = sliced(*slices)
    if slices[0]:
        labels[min(slices[0]), rare_at] = 2  # a class that one slice alone may have
    parted = part([case("a", labels)], mode)
    learned = parted.training[0].class_index
    if len(parted.validation):
        validated = parted.validation[0].class_index
        assert not ((learned >= 0) & (validated >= 0)).any()
        assert (validated >= 0).any()
        np.testing.assert_array_equal(np.maximum(learned, validated), labels)
        assert set(np.unique(learned)) == set(np.unique(labels))
    else:
        np.testing.assert_array_equal(learned, labels)


def test_with_fewer_than_six_slices_nothing_is_held_out_and_it_says_so():
    parted = part([case("a", sliced(z=(2, 8), y=(5, 9), x=(3,)))], "auto")
    assert parted.validation == ()
    assert parted.sentence == "Nothing is held out for validation: the labels are too few to spare any."
    nothing = part([case("a", sliced(z=(2, 8, 14, 17), y=(5, 9), x=(3,)))], "nothing")
    assert nothing.validation == ()
    assert nothing.sentence == "Nothing is held out for validation: as set."


def test_cases_cannot_be_held_out_of_one():
    with pytest.raises(InputError, match="Hold out slices instead"):
        part([dense("alone")], "cases")


@pytest.mark.parametrize("mode", ["slices", "cases", "nothing"])
def test_images_are_normalised_where_they_lie(mode):
    cases = [case(name, sliced(z=(1, 5, 9, 13), y=(4,), x=(7,)), seed) for seed, name in enumerate("abc")]
    cases[0].image.voxels[..., 1] = 7  # a constant channel
    parted = part(cases, mode)
    by_name = {one.name: one for one in cases}
    for volume in (*parted.training, *parted.validation):
        assert np.shares_memory(volume.image, by_name[volume.name].image.voxels)
        assert volume.spacing == (2.0, 1.0, 1.0)
        np.testing.assert_allclose(volume.image.mean(axis=(0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(volume.image.std(axis=(0, 1, 2)), [1, 0 if volume.name == "a" else 1], atol=1e-5)


def test_a_window_is_that_of_all_cases_and_outliers_are_drawn_in():
    cases = [case(name, sliced(z=(1, 5, 9)), seed) for seed, name in enumerate("ab")]
    for number, one in enumerate(cases):
        one.image.voxels[..., 1] += 50 * number  # another offset, which per volume would be taken off
        one.image.voxels[0, 0, :3] = [[1e6, 100], [0, -1000], [0, 1000]]
    parted = part(cases, "nothing", Preparation(Intensities({1: Window(80.0, 120.0, 100.0, 10.0)})))
    for volume in parted.training:
        assert volume.image[0, 0, 0].tolist() == [FARTHEST, 0]
        assert volume.image[0, 0, 1:3, 1].tolist() == [-2, 2]
    assert parted.training[1].image[..., 1].mean() > parted.training[0].image[..., 1].mean() + 1


@settings(max_examples=30)
@given(
    st.lists(st.sets(st.integers(0, 19), max_size=3), min_size=3, max_size=3),
    st.tuples(*[st.sampled_from([0.5, 1.0, 1.7, 3.0])] * 3),
)
def test_what_is_held_out_is_not_learned_from_on_another_spacing_either(slices, step):
    """Each resampled voxel has the label that is nearest to it, and belongs where that one does."""
    one = case("a", sliced(*slices))
    spacing = Spacing(tuple(2.0 * edge if axis == 0 else edge for axis, edge in enumerate(step)))
    kept = part([one], "slices")
    parted = part([case("a", sliced(*slices))], "slices", Preparation(spacing=spacing))
    (learned,) = parted.training
    assert learned.image.shape[:3] == learned.class_index.shape
    assert learned.spacing == spacing.edges
    assert bool(parted.validation) <= bool(kept.validation)
    of, onto = one.image.grid, resampled_grid(one.image.grid, spacing)
    whole = resampled_labels(one.class_index, of, onto)
    held = parted.validation[0].class_index if parted.validation else np.full_like(whole, -1)
    assert not ((learned.class_index != -1) & (held != -1)).any()
    np.testing.assert_array_equal(np.maximum(learned.class_index, held), whole)
    if parted.validation:  # what lies in held-out slices alone is held out
        assert (learned.class_index[resampled_labels(kept.training[0].class_index, of, onto) == -1] == -1).all()


@pytest.mark.parametrize("edge", [0.5, 2.0, 3.0, 5.0])
def test_a_fifth_of_dense_slices_is_held_out_on_any_spacing(edge):
    shape = (60, 20, 20)
    labels = np.random.default_rng(0).integers(0, 2, shape).astype(np.int16)
    image = np.random.default_rng(1).normal(size=(*shape, 1)).astype(np.float32)
    dense_case = AnnotatedCase("a", Volume(image, Grid(shape)), labels)
    parted = part([dense_case], "slices", Preparation(spacing=Spacing((edge, 1.0, 1.0))))
    (held,), (learned,) = parted.validation, parted.training
    slices = (held.class_index != -1).any(axis=(1, 2)).sum()
    assert slices == round(len(held.class_index) / 5)
    assert ((learned.class_index != -1).any(axis=(1, 2))).sum() == len(held.class_index) - slices
