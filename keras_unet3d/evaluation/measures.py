"""Which scores a report shows, and how: the one place to add another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_unet3d.evaluation.tables import Bar, Cell
from keras_unet3d.metrics import Scores, ScoreTable, Spread


@dataclass(frozen=True)
class Measure:
    """A score of a class and its mean over classes.

    Attributes:
        name: with its unit, if it has one.
        key: what it is called in `ClassScore`, with ``mean_`` before it in `Scores`, and in what they give as JSON.
        is_share: whether it goes from 0 to 1, where 1 is best, and can be drawn as a bar.
    """

    name: str
    key: str
    is_share: bool = True

    def cell(self, score: float) -> Cell:
        """A score in a table."""
        return Bar(score) if self.is_share else score

    def over_cases(self, table: ScoreTable, number: int | None) -> Spread:
        """Mean and spread over the cases, of the class of a number, or of the mean over classes."""
        return Spread.over(self.of_case(case.scores, number) for case in table.cases)

    def of_case(self, scores: Scores, number: int | None) -> float:
        """Of a case: of the class of a number, or the mean over classes, not a number where there is none."""
        if number is not None:
            return float(getattr(scores.classes[number], self.key))
        return float(getattr(scores, f"mean_{self.key}", math.nan))

    def of_json(self, plain: Mapping[str, Any]) -> float:
        """Of a class, or of the mean, as `Scores.as_json` gives it."""
        score = plain.get(self.key)
        return math.nan if score is None else float(score)


MEASURES = (Measure("Dice", "dice"), Measure("IoU", "iou"))
"""In the order of the tables; the first one is drawn in charts and ranks the cases, as `ScoreTable` does."""

DEFINITIONS = (
    "IoU = TP / (TP + FN + FP) and Dice = 2 TP / (2 TP + FN + FP), where TP, FN and FP are the voxels that are true "
    "positive, false negative and false positive; 1 is perfect, 0 is no overlap. Only labelled voxels count. A dash is "
    "a class that neither the annotation nor the prediction has; it is left out of means."
)


def spread_text(spread: Spread) -> str:
    """Mean and spread over cases, as a table shows it."""
    return str(spread).replace(" ", "\N{NO-BREAK SPACE}")


def around_text(spread: Spread) -> str:
    """How far scores spread around their mean, without the mean."""
    return "" if math.isnan(spread.deviation) else f"± {spread.deviation:.3f} "


def interval(spread: Spread) -> tuple[float, float]:
    """The band around a mean in a chart: one standard deviation on each side."""
    return spread.mean - spread.deviation, spread.mean + spread.deviation


INTERVAL_WORDS = "the band one standard deviation on each side"
