import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation import UNLABELED
from keras_unet3d.errors import InputError
from keras_unet3d.metrics import Overlap, confusion_matrix

TRUTH = np.array([0, 0, 0, 1, 1, 2, UNLABELED, UNLABELED])
PREDICTION = np.array([0, 0, 1, 1, 2, 2, 0, 7])


def test_rows_are_the_truth_and_unlabelled_voxels_do_not_count():
    assert confusion_matrix(TRUTH, PREDICTION, 3).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_iou_and_dice_by_hand():
    overlap = Overlap.of(TRUTH, PREDICTION, 3)
    assert overlap.iou.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 2])
    assert overlap.dice.tolist() == pytest.approx([4 / 5, 1 / 2, 2 / 3])
    assert overlap.mean_iou == pytest.approx(1 / 2)
    assert overlap.voxels == 6


def test_precision_recall_and_volume_by_hand():
    """Of class 0 two voxels were predicted where three are, both right; of class 2 two where one is."""
    overlap = Overlap.of(TRUTH, PREDICTION, 3)
    assert overlap.precision.tolist() == pytest.approx([1, 1 / 2, 1 / 2])
    assert overlap.recall.tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert overlap.volume_difference.tolist() == pytest.approx([-1 / 3, 0, 1])


def test_what_is_missed_or_invented_scores_0_and_what_is_in_neither_nothing():
    """Class 1 was missed, class 2 invented, class 3 is in neither."""
    overlap = Overlap.of(np.array([0, 1, 0]), np.array([0, 2, 0]), 4)
    for scores in (overlap.iou, overlap.dice, overlap.precision, overlap.recall):
        assert scores.tolist() == pytest.approx([1, 0, 0, np.nan], nan_ok=True)
    assert overlap.volume_difference.tolist() == pytest.approx([0, -1, np.inf, np.nan], nan_ok=True)


def test_a_class_in_neither_is_no_number_and_one_in_only_one_scores_0():
    overlap = Overlap.of(np.array([0, 0]), np.array([0, 1]), 3)
    assert overlap.iou.tolist() == pytest.approx([1 / 2, 0, np.nan], nan_ok=True)
    assert overlap.mean_iou == pytest.approx(1 / 4)
    assert np.isnan(Overlap.none(3).mean_dice)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(0, 6))
def test_overlaps_of_parts_add_up_to_that_of_the_whole(seed, classes, cut):
    random = np.random.default_rng(seed)
    truth = random.integers(-1, classes, (6, 3, 2)).astype(np.int16)
    prediction = random.integers(0, classes, (6, 3, 2)).astype(np.uint8)
    parts = Overlap.of(truth[:cut], prediction[:cut], classes) + Overlap.of(truth[cut:], prediction[cut:], classes)
    whole = Overlap.of(truth, prediction, classes)
    np.testing.assert_array_equal(parts.matrix, whole.matrix)
    labelled = truth != UNLABELED
    for index in range(classes):
        true, predicted = labelled & (truth == index), labelled & (prediction == index)
        union = (true | predicted).sum()
        expected = (true & predicted).sum() / union if union else np.nan
        assert whole.iou[index] == pytest.approx(expected, nan_ok=True)
        assert whole.dice[index] == pytest.approx(2 * expected / (1 + expected), nan_ok=True)
        ends = whole.precision[index], whole.recall[index]  # Dice is their harmonic mean
        assert whole.dice[index] * sum(ends) == pytest.approx(2 * np.prod(ends), nan_ok=True)


def test_a_truth_against_itself_is_perfect():
    overlap = Overlap.of(TRUTH, np.maximum(TRUTH, 0), 3)
    assert (overlap.mean_iou, overlap.mean_dice) == (1, 1)


def test_maps_of_different_sizes_are_refused_by_name():
    with pytest.raises(InputError, match="The prediction has x=4 y=3 z=2, the truth x=4 y=3 z=1"):
        confusion_matrix(np.zeros((1, 3, 4), int), np.zeros((2, 3, 4), int), 2)


def test_a_prediction_with_holes_is_refused():
    with pytest.raises(InputError, match="without a class"):
        confusion_matrix(np.array([0, 1]), np.array([0, UNLABELED]), 2)
    with pytest.raises(ValueError, match="Expected true classes of 0 to 1"):
        confusion_matrix(np.array([0, 2]), np.array([0, 1]), 2)
