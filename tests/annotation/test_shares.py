"""No label is both learned from and scored on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.shares import SlicesLearned, SlicesLeftOut, WholeCase
from keras_unet3d.annotation.slices import AnnotatedSlices

LABELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6) % 3
slices = st.builds(
    AnnotatedSlices,
    st.lists(st.integers(0, 3), max_size=2).map(tuple),
    st.lists(st.integers(0, 4), max_size=2).map(tuple),
    st.lists(st.integers(0, 5), max_size=2).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(slices, slices)
def test_labels_are_learned_from_or_scored_on_never_both(first, second):
    for share in (
        WholeCase(learned=True),
        WholeCase(learned=False),
        SlicesLeftOut(first),
        SlicesLeftOut(first, second),
        SlicesLearned(first, AnnotatedSlices(*(a + b for a, b in zip(first.per_axis, second.per_axis, strict=True)))),
    ):
        learned, scored = share.parted(LABELS)
        assert not ((learned != UNLABELED) & (scored != UNLABELED)).any()
        for part in (learned, scored):
            np.testing.assert_array_equal(part[part != UNLABELED], LABELS[part != UNLABELED])


def test_a_slice_that_is_left_out_is_unlabelled_also_where_another_crosses_it():
    learned, scored = SlicesLeftOut(AnnotatedSlices(z=(1,)), AnnotatedSlices(y=(2,))).parted(LABELS)
    assert (scored[1] == LABELS[1]).all()
    assert (learned[1] == UNLABELED).all()
    assert (learned[[0, 2, 3], 2] == LABELS[[0, 2, 3], 2]).all()
    assert np.count_nonzero(learned != UNLABELED) == 3 * 6


def test_dense_labels_are_scored_where_no_step_has_learned():
    learned, scored = SlicesLearned(AnnotatedSlices(z=(1,)), AnnotatedSlices(z=(1, 2))).parted(LABELS)
    assert (learned[1] == LABELS[1]).all()
    assert (learned[[0, 2, 3]] == UNLABELED).all()
    assert (scored[[1, 2]] == UNLABELED).all()
    assert (scored[[0, 3]] == LABELS[[0, 3]]).all()


@pytest.mark.parametrize("learned", [True, False])
def test_a_whole_case_is_one_or_the_other(learned):
    for_learning, for_scoring = WholeCase(learned=learned).parted(LABELS)
    full, empty = (for_learning, for_scoring) if learned else (for_scoring, for_learning)
    assert (full == LABELS).all()
    assert (empty == UNLABELED).all()
