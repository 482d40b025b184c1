"""How much training is left: by the clock, or by steps."""

import time
from collections.abc import Callable

EXPORT_SHARE, EXPORT_SECONDS = 0.5, 15.0
"""What is kept back of the minutes for writing the model: so many seconds, which tracing its graph takes for whatever
network; of very few minutes a share."""
MEASURED_SHARE = 0.25
"""The share of the minutes that is kept back at most for what else comes after the last step, however long it takes."""


class Budget:
    """Minutes or steps, and how much of them is used. A resumed run carries on where it was.

    Args:
        minutes: time from the call to the exported model, or None.
        steps: number of steps, or None; exactly one of both is given.
        seconds_used: by the run so far, before it was interrupted.
        start: when this call began, by `clock`; now, where it is None.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        minutes: float | None,
        steps: int | None,
        seconds_used: float = 0.0,
        start: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if (minutes is None) == (steps is None):
            raise ValueError(f"Expected minutes or steps, not both. Received: minutes={minutes}, steps={steps}")
        self.steps = steps
        self._total = (minutes or 0.0) * 60
        self._measured = 0.0
        self._clock = clock
        self._start = (clock() if start is None else start) - seconds_used

    @property
    def seconds_used(self) -> float:
        """Seconds since the start, earlier parts of an interrupted run included."""
        return self._clock() - self._start

    def keep_back(self, seconds: float) -> None:
        """Leave so much time for what comes between the last step and writing: validation, statistics, comparison."""
        self._measured = min(seconds, MEASURED_SHARE * self._total)

    def progress(self, step: int) -> float:
        """Share of the budget that is used when `step` steps are done; 1 or more when it is over."""
        return step / self.steps if self.steps else self.seconds_used / self._seconds

    def seconds_left(self, step: int, steps_per_second: float) -> float:
        """Expected seconds to the last step."""
        if self.steps:
            return (self.steps - step) / steps_per_second if steps_per_second else float("inf")
        return max(self._seconds - self.seconds_used, 0.0)

    def leaves(self, seconds: float) -> bool:
        """Whether so much time is left now beside that for writing the model; always, where steps bound the run."""
        return self.steps is not None or self.seconds_used + seconds <= self._total - self._writing

    @property
    def _writing(self) -> float:
        return min(EXPORT_SHARE * self._total, EXPORT_SECONDS)

    @property
    def _seconds(self) -> float:
        """When the last step is to be done."""
        return self._total - self._writing - self._measured
