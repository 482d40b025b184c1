"""Counts over thresholds are those of each threshold."""

import numpy as np
import pytest

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.metrics.precision_recall import BINS, PrecisionRecall, share


def test_counts_are_those_of_every_threshold():
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 3, (4, 5, 6)).astype(np.int16)
    probabilities = rng.dirichlet((1, 1, 1), truth.shape).astype(np.float32)
    curves = PrecisionRecall(3)
    curves.add(truth[:2], probabilities[:2])
    curves.add(truth[2:], probabilities[2:])
    labelled = truth != UNLABELED
    for index in range(3):
        true = truth[labelled] == index
        for number in (0, 1, 30, BINS - 1):
            found = np.floor(probabilities[labelled][:, index] * BINS) >= number
            expected = (found & true, found & ~true, ~found & ~true, ~found & true)
            assert [each[number] for each in curves.confusion(index)] == [each.sum() for each in expected]


def test_a_probability_of_1_is_in_the_last_bin():
    curves = PrecisionRecall(2)
    curves.add(np.array([0, 1], np.int16), np.array([[1, 0], [1, 0]], np.float32))
    found, wrong, *_ = curves.confusion(0)
    assert (found == 1).all()
    assert (wrong == 1).all()


def test_where_nothing_is_found_nothing_is_wrong():
    assert share(np.array([1, 0]), np.array([4, 0])) == pytest.approx([0.25, 1.0])
