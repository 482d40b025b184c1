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


class RecentSteps:
    """The last steps: their mean loss, their scores and their rate."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=STEPS)
        self._gradient_norms: deque[float] = deque(maxlen=1)
        self._overlaps: deque[Overlap] = deque(maxlen=STEPS)
        self._times: deque[float] = deque([time.monotonic()], maxlen=STEPS)

    def add(self, result: StepResult) -> None:
        """Take in one more step; waits until it is computed."""
        if not self._losses:
            self._times.clear()  # the first step traces the graph
        self._losses.append(float(result.loss.numpy()))
        self._gradient_norms.append(float(result.gradient_norm.numpy()))
        self._overlaps.append(Overlap(result.confusion.numpy()))
        self._times.append(time.monotonic())

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
        took = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / took if took > 0 else 0.0
