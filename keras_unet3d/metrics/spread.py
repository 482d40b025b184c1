"""How far a score spreads over cases, and how sure its mean is."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_unet3d.metrics.measures import Measure

CONFIDENCE = 0.95
FEW_CASES = 10
"""With fewer cases than this an interval says little: it cannot know of cases unlike those few, and is too narrow."""

_RESAMPLES, _AT_ONCE = 5_000, 1 << 22
_SEED = 0


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a score over cases, and a bootstrap interval of the mean.

    Attributes:
        mean: not a number where no case has the score.
        deviation: of the sample, √(Σ(x − mean)² / (n − 1)); not a number with fewer than two cases.
        cases: n, those that have the score.
        low: where the 95 % interval of the mean begins: the percentile interval of Efron and Tibshirani 1993, chapter
            13, of 5,000 resamples of the cases; not a number with fewer than two cases.
        high: where it ends.
        infinite: further cases in which the score is infinite, as only one of truth and prediction has the class. They
            are in no mean of distances; read it together with them, or with Dice, in which they count as 0.
    """

    mean: float
    deviation: float
    cases: int
    low: float = math.nan
    high: float = math.nan
    infinite: int = 0

    @classmethod
    def over(cls, scores: Iterable[float]) -> "Spread":
        """Of the scores that are numbers: a class that a case has neither in truth nor in prediction does not count.

        The same scores have the same interval always.
        """
        every = np.asarray(list(scores), np.float64)
        present = every[np.isfinite(every)]
        infinite = int(np.isinf(every).sum())
        if present.size < 2:
            return cls(float(present.mean()) if present.size else math.nan, math.nan, present.size, infinite=infinite)
        low, high = _interval(present)
        return cls(float(present.mean()), float(present.std(ddof=1)), present.size, low, high, infinite)

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "–"
        return f"{self.mean:.3f}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.3f}")

    def lines(self, measure: Measure) -> list[str]:
        """Mean and deviation as a measure is written, the interval, and how many cases are infinite.

        None where there is no case.
        """
        if not self.cases and not self.infinite:
            return []
        mean = measure.text(self.mean)
        lines = [mean if math.isnan(self.deviation) else f"{mean} ± {measure.text(self.deviation).lstrip('+')}"]
        lines += [] if math.isnan(self.low) else [f"{measure.text(self.low)} to {measure.text(self.high)}"]
        return lines + ([f"∞ in {self.infinite} of {self.cases + self.infinite}"] if self.infinite else [])

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where there is no number."""
        mean, deviation = (None if math.isnan(value) else value for value in (self.mean, self.deviation))
        return {
            "mean": mean,
            "standard_deviation": deviation,
            "cases": self.cases,
            "interval": None if math.isnan(self.low) else [self.low, self.high],
            "infinite": self.infinite,
        }


def _interval(scores: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Between which the middle 95 % of the means of resamples lie."""
    rng = np.random.default_rng(_SEED)
    means = np.empty(_RESAMPLES)
    step = max(1, _AT_ONCE // scores.size)
    for start in range(0, _RESAMPLES, step):
        part = means[start : start + step]
        part[:] = scores[rng.integers(scores.size, size=(part.size, scores.size), dtype=np.int32)].mean(axis=1)
    low, high = np.percentile(means, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)
