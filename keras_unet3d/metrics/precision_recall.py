"""Precision and recall of each class over the probability from which on a voxel counts as found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED

BINS = 100
"""Thresholds between 0 and 1 that are told apart."""


class PrecisionRecall:
    """Counts of labelled voxels by the probability of each class; filled part by part.

    Args:
        classes: how many classes there are.

    Attributes:
        counts: int64 ``(class, 2, bin)``: voxels that are not of the class, and those that are, by the class's
            probability; bin b holds those from b / `BINS` on.
    """

    def __init__(self, classes: int) -> None:
        self.counts: NDArray[np.int64] = np.zeros((classes, 2, BINS), np.int64)

    def add(self, truth: NDArray[np.int16], probabilities: NDArray[np.float32]) -> None:
        """Count some voxels.

        Args:
            truth: class indices of any shape; unlabelled voxels are not counted.
            probabilities: of the same shape, and a last axis of the classes.
        """
        labelled = truth != UNLABELED
        true = truth[labelled]
        bins = np.minimum((probabilities[labelled] * BINS).astype(np.intp), BINS - 1)
        for index in range(len(self.counts)):
            places = (true == index) * BINS + bins[:, index]
            self.counts[index] += np.bincount(places, minlength=2 * BINS).reshape(2, BINS)

    def confusion(self, index: int) -> tuple[NDArray[np.int64], ...]:
        """True positives, false positives, true negatives and false negatives of a class.

        Args:
            index: of the class.

        Returns:
            Four arrays ``(BINS,)``: for a threshold of b / `BINS`, at which a voxel counts as found.
        """
        negatives, positives = self.counts[index]
        found = [each[::-1].cumsum()[::-1] for each in (positives, negatives)]
        return found[0], found[1], negatives.sum() - found[1], positives.sum() - found[0]


def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Part of the whole; 1 where there is no whole: nothing that was found is wrong."""
    return np.asarray(np.divide(part, whole, out=np.ones(len(part)), where=whole > 0))
