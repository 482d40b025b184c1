"""Scores case by case, and how far they spread."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import Any

import numpy as np

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.metrics.scores import Scores


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a score over cases.

    Attributes:
        mean: not a number where no case has the score.
        deviation: of the sample, √(Σ(x − mean)² / (n − 1)); not a number with fewer than two cases.
        cases: n, those that have the score.
    """

    mean: float
    deviation: float
    cases: int

    @classmethod
    def over(cls, scores: Iterable[float]) -> "Spread":
        """Of the scores that are numbers: a class that a case has neither in truth nor in prediction does not count."""
        present = np.asarray([score for score in scores if not math.isnan(score)], np.float64)
        return cls(
            float(present.mean()) if present.size else math.nan,
            float(present.std(ddof=1)) if present.size > 1 else math.nan,
            present.size,
        )

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "–"
        return f"{self.mean:.3f}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.3f}")

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where there is no number."""
        mean, deviation = (None if math.isnan(value) else value for value in (self.mean, self.deviation))
        return {"mean": mean, "standard_deviation": deviation, "cases": self.cases}


@dataclass(frozen=True, eq=False)
class CaseScores:
    """How well the prediction for one case agrees with its truth.

    Attributes:
        name: of the case.
        fold: the number of the one that left it out, from 1.
        overlap: at its labelled voxels.
        scores: the same by class.
    """

    name: str
    fold: int
    overlap: Overlap
    scores: Scores


class ScoreTable:
    """The scores of many cases.

    Attributes:
        cases: the worst first, by their mean Dice.
        pooled: of the labelled voxels of all cases together.
    """

    def __init__(self, cases: Iterable[tuple[str, int, Overlap]], scheme: LabelScheme) -> None:
        """Take the name, the fold and the overlap of each case."""
        scored = [CaseScores(name, fold, overlap, Scores.of(overlap, scheme)) for name, fold, overlap in cases]
        self.cases = tuple(sorted(scored, key=lambda case: (_worst_first(case.scores.mean_dice), case.name)))
        together = sum((case.overlap for case in scored), Overlap.none(scheme.classes))
        self.pooled = Scores.of(together, scheme)
        self._scheme = scheme

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self._scheme.names

    @cached_property
    def iou(self) -> tuple[Spread, ...]:
        """Of each class, over the cases."""
        return tuple(
            Spread.over(case.scores.classes[number].iou for case in self.cases) for number in range(len(self.names))
        )

    @cached_property
    def dice(self) -> tuple[Spread, ...]:
        """Of each class, over the cases."""
        return tuple(
            Spread.over(case.scores.classes[number].dice for case in self.cases) for number in range(len(self.names))
        )

    @property
    def mean_iou(self) -> Spread:
        """Over the cases, of each case's mean over the classes that occur in it."""
        return Spread.over(case.scores.mean_iou for case in self.cases)

    @property
    def mean_dice(self) -> Spread:
        """Over the cases, of each case's mean over the classes that occur in it."""
        return Spread.over(case.scores.mean_dice for case in self.cases)

    def spread_as_json(self) -> dict[str, Any]:
        """Means and standard deviations over the cases, as plain values."""
        columns = zip(self.names, self._scheme.values, self.iou, self.dice, strict=True)
        return {
            "classes": [
                {"name": name, "value": value, "iou": iou.as_json(), "dice": dice.as_json()}
                for name, value, iou, dice in columns
            ],
            "mean": {"iou": self.mean_iou.as_json(), "dice": self.mean_dice.as_json()},
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; null where a score is not a number."""
        cases = [{"case": case.name, "fold": case.fold, **case.scores.as_json()} for case in self.cases]
        return {"cases": cases, **self.spread_as_json(), "pooled": self.pooled.as_json()}

    def as_csv(self) -> str:
        """A row for each case, the worst first; a cell is empty where a score is not a number."""
        file = StringIO()
        writer = csv.writer(file, lineterminator="\n")
        of_class = [f"{name} {score}" for name in self.names for score in ("IoU", "Dice")]
        writer.writerow(["case", "fold", "labelled voxels", *of_class, "mean IoU", "mean Dice"])
        for case in self.cases:
            scores = [score for each in case.scores.classes for score in (each.iou, each.dice)]
            scores += [case.scores.mean_iou, case.scores.mean_dice]
            writer.writerow([case.name, case.fold, case.scores.voxels, *_cells(scores)])
        return file.getvalue()


def _cells(scores: Sequence[float]) -> list[str]:
    return ["" if math.isnan(score) else f"{score:.6f}" for score in scores]


def _worst_first(score: float) -> float:
    return math.inf if math.isnan(score) else score
