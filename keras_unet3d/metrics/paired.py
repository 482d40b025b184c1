"""Two predictions of the same cases, compared case by case."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_unet3d.metrics.case_scores import ScoreTable
from keras_unet3d.metrics.measures import Measure
from keras_unet3d.metrics.scores import finite
from keras_unet3d.metrics.spread import Spread

_DIGITS = 12  # differences that are equal but for rounding share a rank


@dataclass(frozen=True)
class PairedDifference:
    """How a score of two predictions differs over the cases in which both have it as a finite number.

    Attributes:
        first: the mean of the first prediction, over these cases.
        second: that of the second.
        difference: of first − second, case by case; its interval tells whether the mean difference could be 0.
        p: of Wilcoxon's signed-rank test, two-sided (`scipy.stats.wilcoxon`): how often differences that are as likely
            to be above as below 0 would lie so far to one side. 1 where no case differs; not a number without cases.
    """

    first: float
    second: float
    difference: Spread
    p: float

    @classmethod
    def of(cls, first: Mapping[str, float], second: Mapping[str, float]) -> "PairedDifference":
        """Compare scores by case; a case that one of them does not have is left out."""
        names = [name for name in first if name in second and math.isfinite(first[name] + second[name])]
        if not names:
            return cls(math.nan, math.nan, Spread.over([]), math.nan)
        one, other = (np.array([scores[name] for name in names], np.float64) for scores in (first, second))
        differences = np.round(one - other, _DIGITS)
        return cls(float(one.mean()), float(other.mean()), Spread.over(differences), _signed_rank(differences))

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where there is no number."""
        return {
            "first": finite(self.first),
            "second": finite(self.second),
            "difference": self.difference.as_json(),
            "p": finite(self.p),
        }


class PairedTable:
    """Every measure of two predictions, compared over the cases that both have.

    Attributes:
        first: the scores of one prediction.
        second: those of the other, with the same truth.
        cases: the names of those that both have, in the order of the first.
        unpaired: the names of those that only one of them has.
    """

    def __init__(self, first: ScoreTable, second: ScoreTable) -> None:
        self.first, self.second = first, second
        names = [{case.name for case in table.cases} for table in (first, second)]
        self.cases = tuple(case.name for case in first.cases if case.name in names[1])
        self.unpaired = tuple(sorted(names[0] ^ names[1]))
        self._differences: dict[tuple[Measure, int | None], PairedDifference] = {}

    @property
    def values(self) -> tuple[int, ...]:
        """Of the classes that both have: those of label maps are named by what occurs in them."""
        return tuple(value for value in self.first.scheme.values if value in self.second.scheme.values)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Those that were measured of both."""
        return tuple(measure for measure in self.first.measured if measure in self.second.measured)

    @property
    def smallest_p(self) -> float:
        """The smallest p that so many cases can have, when all of them differ to the same side: 2 / 2ⁿ."""
        return min(1.0, 2.0 ** (1 - len(self.cases)))

    def difference(self, measure: Measure, value: int | None = None) -> PairedDifference:
        """Of the class with a label value, or of each case's mean over its classes."""
        if (measure, value) not in self._differences:
            one, other = (
                table.scores(measure, None if value is None else table.scheme.values.index(value))
                for table in (self.first, self.second)
            )
            self._differences[measure, value] = PairedDifference.of(one, other)
        return self._differences[measure, value]

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where there is no number."""
        names = dict(zip(self.first.scheme.values, self.first.names, strict=True))
        return {
            "cases": list(self.cases),
            "unpaired": list(self.unpaired),
            "classes": [{"name": names[value], "value": value, **self._as_json(value)} for value in self.values],
            "mean": self._as_json(None),
        }

    def _as_json(self, value: int | None) -> dict[str, Any]:
        asked = (measure for measure in self.first.measures if measure in self.second.measures)
        return {measure.key: self.difference(measure, value).as_json() for measure in asked}


def _signed_rank(differences: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)
