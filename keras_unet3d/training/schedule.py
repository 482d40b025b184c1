"""The learning rate over the budget."""

import math
from typing import Literal

Schedule = Literal["polynomial", "cosine", "constant"]


def learning_rate(schedule: Schedule, start: float, progress: float, step: int, warm_up_steps: int = 0) -> float:
    """The learning rate of a step.

    Args:
        schedule: ``"polynomial"``: (1 − progress)^0.9, as of DeepLab and nnU-Net; ``"cosine"``; ``"constant"``.
        start: the highest learning rate.
        progress: share of the budget that is used, 0 to 1.
        step: number of steps done.
        warm_up_steps: over which it rises to that, while Adam's moments and batch statistics settle.
    """
    left = 1.0 - min(max(progress, 0.0), 1.0)
    factor = {"polynomial": float(left**0.9), "cosine": 0.5 - 0.5 * math.cos(math.pi * left), "constant": 1.0}[schedule]
    return start * factor * min((step + 1) / max(warm_up_steps, 1), 1.0)
