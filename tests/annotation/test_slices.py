import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation import (
    UNLABELED,
    AnnotatedSlices,
    few_painted_slices,
    find_annotated_slices,
    restrict_background,
    slices_by_case,
)
from keras_unet3d.annotation.slices import thin_slabs
from keras_unet3d.errors import InputError

SHAPE = (20, 24, 28)


def ball(shape=SHAPE, radius=7.0):
    grid = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    return (grid**2).sum(axis=0) <= radius**2


def indices(length):
    """Slices of one axis, no two of which touch."""
    return st.sets(st.integers(0, length // 2 - 1).map(lambda half: 2 * half), max_size=3).map(tuple)


some_slices = st.builds(AnnotatedSlices, *map(indices, SHAPE)).filter(len)


def test_the_text_names_the_axes():
    slices = AnnotatedSlices.parse(" z=31,12  y = 80 ")
    assert slices == AnnotatedSlices(z=(12, 31), y=(80,))
    assert str(slices) == "z=12,31 y=80"
    assert AnnotatedSlices.parse("X=1; x=3") == AnnotatedSlices(x=(1, 3))


@settings(max_examples=30, deadline=None)
@given(some_slices)
def test_text_round_trip(slices):
    assert AnnotatedSlices.parse(str(slices)) == slices


@pytest.mark.parametrize("text", ["", "12", "z=", "z=-3", "z=1.5", "w=3", "z=1 y", "z=3:9", "z=1,2,"])
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="z=12,31 y=80"):
        AnnotatedSlices.parse(text)


def test_slices_for_all_cases_or_by_case():
    assert slices_by_case([]) is None
    assert slices_by_case(["z=1"]) == AnnotatedSlices(z=(1,))
    assert slices_by_case(["s1:z=1", "s2:y=2"]) == {"s1": AnnotatedSlices(z=(1,)), "s2": AnnotatedSlices(y=(2,))}
    with pytest.raises(InputError, match="twice for s1"):
        slices_by_case(["s1:z=1", "s1:y=2"])
    with pytest.raises(InputError, match="once for all cases, or for each"):
        slices_by_case(["z=1", "s1:y=2"])


def test_a_slice_outside_the_volume_is_refused_with_the_length_of_its_axis():
    with pytest.raises(InputError, match=r"y=24 lies outside the volume of x=28 y=24 z=20.*from 0 to 23"):
        AnnotatedSlices(y=(24,)).check(SHAPE)


def test_the_mask_counts_crossings_once():
    # One slice of z and one of y: 24·28 + 20·28 voxels, of which a line of 28 is in both.
    assert AnnotatedSlices(z=(3,), y=(4,)).mask(SHAPE).sum() == 24 * 28 + 20 * 28 - 28


@settings(max_examples=40, deadline=None)
@given(some_slices)
def test_annotated_slices_are_found_and_their_stripes_are_not(slices):
    assert find_annotated_slices(slices.mask(SHAPE)) == slices


def test_annotated_slices_that_touch_are_found_too():
    slices = AnnotatedSlices(z=(3, 4, 5, 12), x=(7, 8, 20))
    assert find_annotated_slices(slices.mask(SHAPE)) == slices


def test_the_papers_slice_counts_are_found():
    slices = AnnotatedSlices(z=tuple(range(1, 63, 3)), y=tuple(range(10, 240, 48)), x=tuple(range(9, 248, 36)))
    assert (len(slices.z), len(slices.y), len(slices.x)) == (21, 5, 7)
    assert find_annotated_slices(slices.mask((64, 244, 248))) == slices


def test_a_part_of_a_slice_is_an_annotated_slice():
    labelled = np.zeros(SHAPE, bool)
    labelled[9, 5:12, 6:16] = True
    labelled[4:18, 8, 7:14] = True
    assert find_annotated_slices(labelled) == AnnotatedSlices(z=(9,), y=(8,))


def test_dense_labels_are_all_slices_of_z():
    assert find_annotated_slices(np.ones(SHAPE, bool)) == AnnotatedSlices(z=tuple(range(20)))
    assert find_annotated_slices(np.zeros(SHAPE, bool)) == AnnotatedSlices()


@settings(max_examples=40, deadline=None)
@given(some_slices)
def test_foreground_painted_in_a_few_slices_leaves_the_meaning_of_0_open(slices):
    everywhere = ball(radius=9)
    painted = everywhere & slices.mask(SHAPE)
    held = [(axis, index) for axis, index in slices if np.moveaxis(everywhere, axis, 0)[index].sum() >= 10]
    found = few_painted_slices(painted)
    if len(held) == len(slices):
        assert found == slices
    elif painted.any():
        assert found is not None
        assert not len(found.without(slices))


@pytest.mark.parametrize(
    "slices",
    [AnnotatedSlices(z=(4, 9, 10, 15)), AnnotatedSlices(z=(9,), y=(12, 13)), AnnotatedSlices(z=(4, 5, 6), x=(14,))],
)
def test_a_few_of_the_painted_slices_may_touch(slices):
    assert few_painted_slices(ball(radius=9) & slices.mask(SHAPE)) == slices


def test_pairs_of_painted_slices_are_told_from_solid_objects():
    pairs = AnnotatedSlices(z=(5, 6, 12, 13))
    assert thin_slabs(ball(radius=9) & pairs.mask(SHAPE)) == pairs
    assert thin_slabs(ball(radius=9) & AnnotatedSlices(z=(5, 6, 7, 8)).mask(SHAPE)) is None
    assert thin_slabs(ball(radius=2.5)) is None
    assert thin_slabs(ball(radius=9)) is None
    assert thin_slabs(np.zeros(SHAPE, bool)) is None


@pytest.mark.parametrize("radius", [1.3, 2.5, 4.0, 9.0])
def test_a_compact_object_is_dense_however_small(radius):
    assert few_painted_slices(ball(radius=radius)) is None


def test_small_dense_things_are_not_taken_for_slices():
    points = np.random.default_rng(3).random(SHAPE) < 0.01
    assert few_painted_slices(points) is None
    tube = np.zeros(SHAPE, bool)
    for z in range(20):  # one voxel thick, and aslant
        tube[z, 5 + z // 2, 6 + z // 3] = True
    assert few_painted_slices(tube) is None
    assert few_painted_slices(np.zeros(SHAPE, bool)) is None
    assert few_painted_slices(np.ones(SHAPE, bool)) is None
    one_slice = np.zeros((1, 24, 28), bool)
    one_slice[0, 5:10, 5:10] = True  # a volume of a single slice has no others
    assert few_painted_slices(one_slice) is None


def test_many_slices_through_few_planes_are_found_as_they_were_painted():
    shape = (4, 60, 60)  # five slices of x hold more than any of the four of z
    slices = AnnotatedSlices(x=(10, 20, 30, 40, 50))
    painted = np.zeros(shape, bool)
    painted[:, 5:55] = True
    assert few_painted_slices(painted & slices.mask(shape)) == slices
    assert find_annotated_slices(slices.mask(shape)) == slices


def test_a_slip_of_the_brush_changes_nothing():
    painted = ball(radius=9) & AnnotatedSlices(z=(9,), y=(12,)).mask(SHAPE)
    painted[15, 3, 3] = True
    assert few_painted_slices(painted) == AnnotatedSlices(z=(9,), y=(12,))


def test_unpainted_is_background_in_the_slices_and_unlabelled_elsewhere():
    class_index = np.zeros((3, 2, 2), np.int16)
    class_index[1, 0, 0] = 1
    class_index[2, 1, 1] = 1  # painted outside of the slices: kept
    result = restrict_background(class_index, 0, AnnotatedSlices(z=(1,)))
    u = UNLABELED
    assert result.tolist() == [[[u, u], [u, u]], [[1, 0], [0, 0]], [[u, u], [u, 1]]]
    assert result.dtype == np.int16
    assert class_index[0, 0, 0] == 0
