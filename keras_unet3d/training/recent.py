"""What the last steps were like."""

import time
from collections import deque
from functools import reduce
from operator import add

import numpy as np

from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.training.step import StepResult

STEPS = 50
"""Steps that the rate and the running scores look back."""
BEHIND = 1
"""Steps whose results are not looked at yet: looking waits for the device, which has nothing to do meanwhile."""


class RecentSteps:
    """The last steps: their mean loss, their scores, their rate, and how long they waited for data.

    What it tells of losses, gradients and scores is `BEHIND` steps behind, until `settle`.

    Attributes:
        last_step: the last one whose result was looked at.
    """

    def __init__(self) -> None:
        self.last_step = 0
        self._ahead: deque[tuple[int, StepResult]] = deque()
        self._losses: deque[float] = deque(maxlen=STEPS)
        self._gradient_norms: deque[float] = deque(maxlen=1)
        self._overlaps: deque[Overlap] = deque(maxlen=STEPS)
        self._times: deque[float] = deque(maxlen=STEPS)
        self._waits: deque[float] = deque(maxlen=STEPS - 1)

    def add(self, step: int, result: StepResult, waited: float = 0.0) -> None:
        """Take in one more step.

        Args:
            step: its number.
            result: perhaps still being computed.
            waited: seconds that it waited for its data.
        """
        self._ahead.append((step, result))
        first = not self._losses
        while len(self._ahead) > (0 if first else BEHIND):
            self._look()
        if not first:  # the first step traces the graph
            self._waits.append(waited)
        self._times.append(time.monotonic())

    def settle(self) -> None:
        """Wait until every step is computed, and look at it."""
        while self._ahead:
            self._look()

    def _look(self) -> None:
        self.last_step, result = self._ahead.popleft()
        self._losses.append(float(result.loss.numpy()))
        self._gradient_norms.append(float(result.gradient_norm.numpy()))
        self._overlaps.append(Overlap(result.confusion.numpy()))

    @property
    def last_loss(self) -> float:
        """Of the last step."""
        return self._losses[-1]

    @property
    def last_gradient_norm(self) -> float:
        """Of the last step, before clipping."""
        return self._gradient_norms[-1]

    @property
    def loss(self) -> float:
        """The mean."""
        return float(np.mean(self._losses))

    @property
    def overlap(self) -> Overlap:
        """Of all labelled voxels of the tiles."""
        return reduce(add, self._overlaps)

    @property
    def steps_per_second(self) -> float:
        """0 until there are two."""
        return (len(self._times) - 1) / self._took if self._took > 0 else 0.0

    @property
    def waiting(self) -> float:
        """The share of the time, from 0 to 1, in which the loop stood still for want of data.

        On a GPU that still computes the step before, this is more than what the GPU itself stands still.
        """
        return sum(self._waits) / self._took if self._took > 0 else 0.0

    @property
    def _took(self) -> float:
        return self._times[-1] - self._times[0] if self._times else 0.0
