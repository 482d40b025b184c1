"""How well two label maps agree, voxel by voxel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named

_CHUNK = 1 << 20  # voxels counted at a time, so that the counting takes megabytes whatever the volume


def confusion_matrix(truth: NDArray[Any], prediction: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Count the voxels of each true class by the class that was predicted.

    Args:
        truth: class indices of any shape, usually ``(z, y, x)``; `UNLABELED` voxels are not counted.
        prediction: class indices of the same shape; what it says at unlabelled voxels is not looked at.
        classes: how many classes there are.

    Returns:
        int64 ``(class, class)``: row i, column j holds the voxels of class i that were predicted as j.

    Raises:
        InputError: if the shapes differ, or a labelled voxel has a prediction that is no class.
        ValueError: if the truth holds an index that is no class.
    """
    if truth.shape != prediction.shape:
        sizes = [named(array.shape) if array.ndim == 3 else str(array.shape) for array in (prediction, truth)]
        raise InputError(f"The prediction has {sizes[0]}, the truth {sizes[1]}. Compare label maps on the same grid.")
    counts = np.zeros(classes * classes, np.int64)
    flat_truth, flat_prediction = truth.reshape(-1), prediction.reshape(-1)
    for start in range(0, flat_truth.size, _CHUNK):
        true = flat_truth[start : start + _CHUNK].astype(np.int64)
        labelled = true != UNLABELED
        true = true[labelled]
        predicted = flat_prediction[start : start + _CHUNK][labelled].astype(np.int64)
        if not true.size:
            continue
        if true.min() < 0 or true.max() >= classes:
            raise ValueError(f"Expected true classes of 0 to {classes - 1}. Received: {true.min()} to {true.max()}")
        if predicted.min() < 0 or predicted.max() >= classes:
            raise InputError("The prediction leaves labelled voxels without a class. Score a dense prediction.")
        counts += np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class Overlap:
    """Overlap of a prediction with a truth; overlaps of tiles or cases add up to that of all their voxels.

    A class that neither truth nor prediction has is not a number (there is nothing to overlap) and is left out of
    the means; one that only one of the two has scores 0, in precision and recall too, where else nothing would be
    divided by nothing.

    Attributes:
        matrix: the `confusion_matrix`, ``(class, class)``: truth in rows, prediction in columns.
    """

    matrix: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[Any], prediction: NDArray[Any], classes: int) -> "Overlap":
        """The overlap of two maps of class indices; see `confusion_matrix`."""
        return cls(confusion_matrix(truth, prediction, classes))

    @classmethod
    def none(cls, classes: int) -> "Overlap":
        """The overlap of no voxels at all: where adding up begins."""
        return cls(np.zeros((classes, classes), np.int64))

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(self.matrix + other.matrix)

    @property
    def voxels(self) -> int:
        """How many labelled voxels were compared."""
        return int(self.matrix.sum())

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class, TP / (TP + FN + FP) (Çiçek et al. 2016, section 4)."""
        return _ratio(self._both, self._true + self._predicted - self._both)

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice per class, 2 TP / (2 TP + FN + FP)."""
        return _ratio(2 * self._both, self._true + self._predicted)

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of the predicted voxels of a class that are of it, TP / (TP + FP)."""
        return _ratio(self._both, self._predicted, nothing=np.where(self._true > 0, 0, np.nan))

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of the true voxels of a class that were found, TP / (TP + FN)."""
        return _ratio(self._both, self._true, nothing=np.where(self._predicted > 0, 0, np.nan))

    @property
    def volume_difference(self) -> NDArray[np.float64]:
        """What is predicted too much of a class, as a share of what is true: (FP − FN) / (TP + FN).

        Negative for too little; infinite where all of it is invented.
        """
        return _ratio(self._predicted - self._true, self._true, nothing=np.where(self._predicted > 0, np.inf, np.nan))

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur; not a number where none does."""
        return mean_of_present(self.iou)

    @property
    def mean_dice(self) -> float:
        """Mean of `dice` over the classes that occur; not a number where none does."""
        return mean_of_present(self.dice)

    @property
    def _both(self) -> NDArray[np.int64]:
        return np.asarray(np.diagonal(self.matrix))

    @property
    def _true(self) -> NDArray[np.int64]:
        return np.asarray(self.matrix.sum(axis=1))

    @property
    def _predicted(self) -> NDArray[np.int64]:
        return np.asarray(self.matrix.sum(axis=0))


def mean_of_present(scores: Sequence[float] | NDArray[np.float64]) -> float:
    """Mean of the scores that are numbers; not a number where none is, and infinite where one is."""
    present = np.asarray(scores, np.float64)
    present = present[~np.isnan(present)]
    return float(present.mean()) if present.size else float("nan")


def _ratio(
    part: NDArray[np.int64], whole: NDArray[np.int64], nothing: NDArray[np.float64] | float = math.nan
) -> NDArray[np.float64]:
    """``part / whole``, and `nothing` where there is no whole."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), nothing, np.float64), where=whole > 0))
