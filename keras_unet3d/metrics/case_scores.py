"""Scores case by case, and how far they spread."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import Any

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.metrics.measures import DICE, IOU, Measure
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.metrics.scores import Scores, surfaces_as_json
from keras_unet3d.metrics.spread import Spread


@dataclass(frozen=True, eq=False)
class CaseScores:
    """How well the prediction for one case agrees with its truth.

    Attributes:
        name: of the case.
        overlap: at its labelled voxels.
        scores: the same by class, with distances where they were measured.
        fold: the number of the one that left it out, from 1; None without folds.
    """

    name: str
    overlap: Overlap
    scores: Scores
    fold: int | None = None


class ScoreTable:
    """The scores of many cases.

    Attributes:
        cases: the worst first, by their mean Dice.
        scheme: of all of them.
        pooled: of the labelled voxels of all cases together; overlap only.
    """

    def __init__(self, cases: Iterable[CaseScores], scheme: LabelScheme) -> None:
        """Take cases that were scored in one scheme."""
        scored = list(cases)
        self.cases = tuple(sorted(scored, key=lambda case: (_worst_first(case.scores.mean_dice), case.name)))
        self.scheme = scheme
        self.pooled = Scores.of(sum((case.overlap for case in scored), Overlap.none(scheme.classes)), scheme)
        self._spreads: dict[tuple[Measure, int | None], Spread] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.scheme.names

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Those that were asked for."""
        return max((case.scores.measures for case in self.cases), key=len, default=self.pooled.measures)

    @property
    def measured(self) -> tuple[Measure, ...]:
        """Those that were asked for and could be measured: no distance where no case is labelled densely."""
        return tuple(measure for measure in self.measures if self.unit or not measure.of_surfaces)

    @property
    def unit(self) -> str:
        """Of distances; empty where none were measured."""
        return next((case.scores.ruler.unit for case in self.cases if case.scores.ruler), "")

    def scores(self, measure: Measure, number: int | None = None) -> dict[str, float]:
        """A measure of a class, or of the mean over the classes, by case."""
        return {
            case.name: case.scores.mean(measure) if number is None else case.scores.classes[number].of(measure)
            for case in self.cases
        }

    def spread(self, measure: Measure, number: int | None = None) -> Spread:
        """Of a class over the cases, or of each case's mean over the classes that occur in it."""
        if (measure, number) not in self._spreads:
            self._spreads[measure, number] = Spread.over(self.scores(measure, number).values())
        return self._spreads[measure, number]

    @cached_property
    def iou(self) -> tuple[Spread, ...]:
        """Of each class, over the cases."""
        return tuple(self.spread(IOU, number) for number in range(len(self.names)))

    @cached_property
    def dice(self) -> tuple[Spread, ...]:
        """Of each class, over the cases."""
        return tuple(self.spread(DICE, number) for number in range(len(self.names)))

    @property
    def mean_iou(self) -> Spread:
        """Over the cases, of each case's mean over the classes that occur in it."""
        return self.spread(IOU)

    @property
    def mean_dice(self) -> Spread:
        """Over the cases, of each case's mean over the classes that occur in it."""
        return self.spread(DICE)

    def spread_as_json(self) -> dict[str, Any]:
        """Means, standard deviations and intervals over the cases, as plain values."""
        return {
            "classes": [
                {"name": name, "value": value, **self._spread_as_json(number)}
                for number, (name, value) in enumerate(zip(self.names, self.scheme.values, strict=True))
            ],
            "mean": self._spread_as_json(None),
            **surfaces_as_json(case.scores for case in self.cases),
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; null where a score is not a number."""
        cases = [
            {"case": case.name, **({} if case.fold is None else {"fold": case.fold}), **case.scores.as_json()}
            for case in self.cases
        ]
        return {"cases": cases, **self.spread_as_json(), "pooled": self.pooled.as_json()}

    def as_csv(self) -> str:
        """A row for each case, the worst first.

        A cell is empty where a score is not a number, and ``inf`` where it is infinite.
        """
        file = StringIO()
        writer = csv.writer(file, lineterminator="\n")
        folds = any(case.fold is not None for case in self.cases)
        titles = [measure.titled(self.unit) for measure in self.measured]
        of_class = [f"{name} {title}" for name in (*self.names, "mean") for title in titles]
        writer.writerow(["case", *(["fold"] if folds else []), "labelled voxels", *of_class])
        for case in self.cases:
            scores = [each.of(measure) for each in case.scores.classes for measure in self.measured]
            scores += [case.scores.mean(measure) for measure in self.measured]
            writer.writerow([case.name, *([case.fold] if folds else []), case.scores.voxels, *_cells(scores)])
        return file.getvalue()

    def _spread_as_json(self, number: int | None) -> dict[str, Any]:
        return {measure.key: self.spread(measure, number).as_json() for measure in self.measures}


def _cells(scores: Sequence[float]) -> list[str]:
    return ["" if math.isnan(score) else f"{score:.6f}" for score in scores]


def _worst_first(score: float) -> float:
    return math.inf if math.isnan(score) else score
