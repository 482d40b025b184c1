"""Everything a killed run needs to continue as if nothing had happened."""

import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from pydantic import BaseModel, Field

from keras_unet3d.errors import WorkError


class RunState(BaseModel):
    """Where a run is.

    Attributes:
        step: steps done. Random numbers follow from seed and step, so this is the random state too.
        seconds: time used, from the start of the call, over all calls.
        best_step: the step of the best validation, or None.
        best_score: its mean IoU.
        validations: progress and scores of each validation so far.
        seconds_validating: the part of the time that went into validation.
        longest_validation: of that, the seconds of the longest one.
    """

    step: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_score: float = -1.0
    validations: list[dict[str, Any]] = Field(default_factory=list)
    seconds_validating: float = 0.0
    longest_validation: float = 0.0


class _SavedState(tf.train.experimental.PythonState):  # type: ignore[misc]
    """Puts a `RunState` into the same checkpoint as the variables, so that neither is ever newer than the other."""

    def __init__(self) -> None:
        self.value = RunState()

    def serialize(self) -> str:
        return self.value.model_dump_json()

    def deserialize(self, string_value: str | bytes) -> None:
        self.value = RunState.model_validate(json.loads(string_value))


class Checkpoints:
    """The last state of a run and its best weights, each replaced as a whole.

    Attributes:
        saved_step: the step of the last saved state, or None.

    Args:
        folder: of the run.
        model: weights and moving statistics.
        optimizer: its moments and iteration count.
    """

    def __init__(self, folder: Path, model: keras.Model, optimizer: keras.Optimizer) -> None:
        self.saved_step: int | None = None
        self._saved = _SavedState()
        last = tf.train.Checkpoint(model=model, optimizer=optimizer, state=self._saved)
        best = tf.train.Checkpoint(model=model)
        self._last = tf.train.CheckpointManager(last, str(folder / "last"), max_to_keep=1)
        self._best = tf.train.CheckpointManager(best, str(folder / "best"), max_to_keep=1)

    def resume(self) -> RunState:
        """Restore model and optimizer to the last saved state; a fresh state where there is none.

        Raises:
            WorkError: if the files are damaged, or of another network.
        """
        latest = self._last.latest_checkpoint
        if latest:
            try:
                self._last.checkpoint.restore(latest).assert_consumed()
            except (AssertionError, IndexError, RuntimeError, ValueError, tf.errors.OpError) as error:
                raise WorkError(
                    f"{latest}: this checkpoint cannot be continued from; it is damaged, or another version of this "
                    f"program wrote it ({str(error).splitlines()[0]}). Remove the run's folder, "
                    f"{Path(latest).parents[2]}, to begin anew."
                ) from error
            self.saved_step = self._saved.value.step
        return self._saved.value

    def save(self, state: RunState) -> None:
        """Save everything. A kill at any moment leaves this state or the one before."""
        self._saved.value = state
        self._last.save(checkpoint_number=_next_number(self._last))
        self.saved_step = state.step

    def save_best(self) -> None:
        """Save the weights as the best so far."""
        self._best.save(checkpoint_number=_next_number(self._best))

    def restore_best(self) -> None:
        """Bring the best weights back into the model; leaves it as it is where no best was saved."""
        if self._best.latest_checkpoint:
            self._best.checkpoint.restore(self._best.latest_checkpoint).expect_partial()


def _next_number(manager: tf.train.CheckpointManager) -> int:
    """Never that of the files that hold the present state: a kill while they are written over would lose it."""
    latest = manager.latest_checkpoint
    return int(latest.rpartition("-")[2]) + 1 if latest else 1
