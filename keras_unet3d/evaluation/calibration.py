"""Whether a model is wrong where it is unsure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.evaluation.case_view import STEPS

BINS = 10
EDGES = tuple(number / BINS for number in range(BINS + 1))
UNSURE = 0.5
"""From which uncertainty on a voxel is called uncertain in words."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Labelled voxels by their uncertainty; those of several cases add up.

    Attributes:
        voxels: in each tenth of the uncertainty.
        wrong: of these, how many were predicted otherwise.
    """

    voxels: NDArray[np.int64]
    wrong: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[Any], prediction: NDArray[Any], steps: NDArray[np.uint8]) -> "Calibration":
        """Of one case.

        Args:
            truth: class indices ``(z, y, x)``, negative where there is no label.
            prediction: class indices.
            steps: of uncertainty, see `case_view.steps_of_uncertainty`.
        """
        counts = [np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)]
        for true, predicted, unsure in zip(truth, prediction, steps, strict=True):  # plane by plane
            labelled = true >= 0
            places = np.minimum(unsure[labelled].astype(np.int64) * BINS // STEPS, BINS - 1)
            counts[0] += np.bincount(places, minlength=BINS)
            counts[1] += np.bincount(places[true[labelled] != predicted[labelled]], minlength=BINS)
        return cls(*counts)

    @classmethod
    def none(cls) -> "Calibration":
        """Of no voxels: where adding up begins."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))

    def __add__(self, other: "Calibration") -> "Calibration":
        return Calibration(self.voxels + other.voxels, self.wrong + other.wrong)

    @property
    def wrong_shares(self) -> list[float]:
        """The share of each tenth that is wrong, not a number where there are no voxels."""
        none = np.full(BINS, np.nan)
        return [float(share) for share in np.divide(self.wrong, self.voxels, out=none, where=self.voxels > 0)]

    @property
    def sentence(self) -> str:
        """How much of what is wrong is where the model is unsure."""
        total, wrong = int(self.voxels.sum()), int(self.wrong.sum())
        if not wrong:
            return f"None of the {total:,} labelled voxels is wrong."
        first = round(UNSURE * BINS)
        unsure, found = self.voxels[first:].sum() / total, self.wrong[first:].sum() / wrong
        return (
            f"{wrong / total:.1%} of the {total:,} labelled voxels are wrong. The {unsure:.1%} that are least certain "
            f"(uncertainty above {UNSURE:g}) hold {found:.0%} of what is wrong."
        )
