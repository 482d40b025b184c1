"""Whoever watches a training: the terminal, a notebook, a test."""

from dataclasses import dataclass
from typing import Any, Protocol

from keras_unet3d.metrics.overlap import Overlap


@dataclass(frozen=True)
class StepReport:
    """What a progress line shows.

    Attributes:
        step: steps done.
        progress: share of the budget used.
        loss: mean of the last steps; the one that is being computed may be left out.
        mean_iou: of the tiles of those steps.
        steps_per_second: of the last steps.
        seconds_left: to the end of training.
        waiting: share of the time of the last steps, from 0 to 1, that went by waiting for data.
    """

    step: int
    progress: float
    loss: float
    mean_iou: float
    steps_per_second: float
    seconds_left: float
    waiting: float


class Listener(Protocol):
    """Told what happens, in this order: planned, then sayings, steps and validations; those of all folds, in order."""

    def planned(self, plan: Any) -> None:
        """What will be done is decided; a `keras_unet3d.FitPlan`, or a `keras_unet3d.CrossValidationPlan`."""

    def say(self, text: str) -> None:
        """Something happened once; a sentence."""

    def step(self, report: StepReport) -> None:
        """A step is done."""

    def validated(self, step: int, overlap: Overlap) -> None:
        """A validation is done."""


class Quiet:
    """A listener that tells nobody. Listeners that care for some events only inherit from it."""

    def planned(self, plan: Any) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def step(self, report: StepReport) -> None:
        """Do nothing."""

    def validated(self, step: int, overlap: Overlap) -> None:
        """Do nothing."""
