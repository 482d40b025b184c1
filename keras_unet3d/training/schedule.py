"""The learning rate over the budget."""

import math
from typing import Literal

Schedule = Literal["polynomial", "cosine", "constant"]

WARM_UP_STEPS = 20
"""Steps over which the learning rate rises, while Adam's moments and batch statistics settle."""


def learning_rate(schedule: Schedule, start: float, progress: float, step: int) -> float:
    """The learning rate of a step.

    Args:
        schedule: ``"polynomial"``: (1 − progress)^0.9, as of DeepLab and nnU-Net; ``"cosine"``; ``"constant"``.
        start: the highest learning rate.
        progress: share of the budget that is used, 0 to 1.
        step: number of steps done.
    """
    left = 1.0 - min(max(progress, 0.0), 1.0)
    factor = {"polynomial": float(left**0.9), "cosine": 0.5 - 0.5 * math.cos(math.pi * left), "constant": 1.0}[schedule]
    return start * factor * min((step + 1) / WARM_UP_STEPS, 1.0)
