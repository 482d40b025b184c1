import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError
from keras_unet3d.phantom.annotation import UNPAINTED, annotate, choose_slices

EVEN = np.tile(np.array([0, 1, 2], np.uint8), (30, 20, 5))  # every slice shows what every other one shows


def test_slices_are_spread_uniformly_where_all_are_alike():
    assert choose_slices(np.ones((30, 20, 10), np.uint8), (3, 2, 1)) == AnnotatedSlices(
        z=(4, 14, 24), y=(4, 14), x=(4,)
    )


def test_a_slice_moves_to_where_there_is_more_to_see():
    truth = np.full((20, 9, 9), 2, np.uint8)
    truth[7, 3, 3] = 1
    truth[12, 4, 4] = 0
    assert choose_slices(truth, (2, 0, 0)).z == (7, 12)


def test_a_slice_stays_in_the_middle_half_of_its_stretch():
    truth = np.full((20, 9, 9), 2, np.uint8)
    truth[0, 3, 3] = 1
    assert choose_slices(truth, (1, 0, 0)).z == (9,)


@given(st.tuples(*[st.integers(1, 12)] * 3), st.data())
@settings(max_examples=30, deadline=None)
def test_as_many_slices_as_asked_for_all_inside(shape, data):
    counts = tuple(data.draw(st.integers(0, length)) for length in shape)
    truth = np.random.default_rng(0).integers(0, 3, shape, np.uint8)
    chosen = choose_slices(truth, counts)
    assert tuple(len(indices) for indices in chosen.per_axis) == counts
    chosen.check(shape)


def test_only_the_slices_keep_their_labels():
    labels = annotate(EVEN, AnnotatedSlices(z=(3, 17), y=(5,), x=(0, 14)))
    assert labels.dtype == np.uint8
    inside = np.zeros(EVEN.shape, bool)
    inside[[3, 17]] = True
    inside[:, 5] = True
    inside[:, :, [0, 14]] = True
    np.testing.assert_array_equal(labels[inside], EVEN[inside])
    assert (labels[~inside] == UNPAINTED).all()


def test_without_slices_nothing_is_labelled():
    assert (annotate(EVEN, AnnotatedSlices()) == UNPAINTED).all()


def test_a_slice_outside_is_refused():
    with pytest.raises(InputError, match="y=20 lies outside"):
        annotate(EVEN, AnnotatedSlices(y=(20,)))
