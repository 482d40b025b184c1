"""A TensorBoard profile of some steps: where their time goes."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tensorflow as tf

FIRST, STEPS = 5, 5
"""Of one call, the steps before the first that is profiled, and how many are."""


class Profile:
    """Profiles the sixth to the tenth step of a call; TensorBoard shows it beside the run's other logs.

    The first steps trace the graph and fill the pipeline; the files grow with every step. To be used in a ``with``
    statement, which ends a profile that a short run has not.

    Args:
        folder: of the run, or None to do nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._steps = 0
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop()

    def step(self, number: int) -> AbstractContextManager[Any]:
        """Around one step, counted from 0."""
        if self._folder is None:
            return nullcontext()
        if self._steps == FIRST:
            try:
                tf.profiler.experimental.start(str(self._folder / "tensorboard"))
            except tf.errors.OpError as error:
                warnings.warn(f"No profile is written ({error.message}).", UserWarning, stacklevel=2)
                self._folder = None
                return nullcontext()
            self._running = True
        elif self._steps == FIRST + STEPS:
            self._stop()
        self._steps += 1
        trace: AbstractContextManager[Any] = tf.profiler.experimental.Trace("train", step_num=number, _r=1)
        return trace if self._running else nullcontext()

    def _stop(self) -> None:
        if self._running:
            self._running = False
            tf.profiler.experimental.stop()
