"""The training loop: data → step → validation → checkpoint, until the budget is used."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.annotation.pictures import slice_panel
from keras_unet3d.errors import WorkError
from keras_unet3d.inference.keras_predictor import KerasPredictor
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.network.statistics import with_current_statistics
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.training.budget import Budget
from keras_unet3d.training.checkpoints import Checkpoints, RunState
from keras_unet3d.training.interrupt import ends_early
from keras_unet3d.training.listener import Listener, StepReport
from keras_unet3d.training.moments import MomentCollector
from keras_unet3d.training.monitor import Monitor, scalar
from keras_unet3d.training.pipeline import TrainingBatches, moment_images
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.schedule import learning_rate
from keras_unet3d.training.settings import Settings
from keras_unet3d.training.step import StepResult, TrainingStep, build_optimizer
from keras_unet3d.training.validation import Validation, validate
from keras_unet3d.volumes.axes import AXES

VALIDATIONS = 10
"""How often a run is validated: this often, evenly over its budget."""
VALIDATION_SHARE = 0.1
"""By the clock, a validation is left out while more than this share of the time went into validations."""
CHECKPOINT_SECONDS = 60.0
"""A killed run loses at most this much."""
RECENT_STEPS = 50
"""Steps that the rate and the running scores look back."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes:
        model: float32, with its best weights and freshly collected moments.
        state: the run at its end, all validations included.
        validation: scores of the model that is kept, or None where nothing was held out.
    """

    model: keras.Model
    state: RunState
    validation: Validation | None


class Training:
    """One run in one folder. Created again with the same arguments, it continues where it was.

    Args:
        settings: resolved: nothing is None.
        volumes: to learn from.
        held_out: to validate on; may be empty.
        scheme: classes, their names and colours.
        class_weights: of the loss, in class order.
        folder: of the run; exists.
        listener: told what happens.
    """

    def __init__(
        self,
        settings: Settings,
        volumes: Sequence[TrainingVolume],
        held_out: Sequence[TrainingVolume],
        scheme: LabelScheme,
        class_weights: Sequence[float],
        folder: Path,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._volumes = volumes
        self._held_out = held_out
        self._colours = scheme.colours
        self._classes = scheme.classes
        self._weights = class_weights
        self._listener = listener
        channels = volumes[0].image.shape[-1]
        self._model = build_network(settings, channels, scheme.classes, settings.precision)
        optimizer = build_optimizer(settings.optimizer, settings.precision)
        self._step = TrainingStep(self._model, optimizer, settings.loss.dice)
        self._collect_moments = MomentCollector(self._model)
        normalizes_batches = settings.network.normalization == "batch"
        self._moment_images = moment_images(settings, volumes) if normalizes_batches else []
        self._current_statistics = normalizes_batches and settings.network.statistics == "current"
        self._predictor = KerasPredictor(self._model, settings.network.geometry)
        self._best: Validation | None = None
        self._checkpoints = Checkpoints(folder / "checkpoints", self._model, optimizer)
        self._monitor = Monitor(folder, scheme.names)

    def run(self) -> Trained:
        """Train until the budget is used or an interrupt asks to end early; then bring back the best weights.

        Raises:
            WorkError: if the loss stops being finite; the last good checkpoint is kept.
        """
        try:
            return self._run()
        finally:
            self._monitor.flush()

    def _run(self) -> Trained:
        settings, state = self._settings, self._checkpoints.resume()
        if state.step:
            self._listener.say(f"Continuing at step {state.step}, after {state.seconds / 60:.1f} minutes.")
        else:
            self._monitor.start(self._model, settings.model_dump_json(indent=1, exclude_none=True))
        budget = Budget(settings.minutes, settings.steps, state.seconds)
        recent = _Recent()
        saved = time.monotonic()
        batches = TrainingBatches(settings, self._volumes, self._weights, first_step=state.step)
        with batches, ends_early() as interrupted:
            while (progress := budget.progress(state.step)) < 1 and not interrupted():
                rate = learning_rate(
                    settings.optimizer.schedule, settings.optimizer.learning_rate or 0.0, progress, state.step
                )
                recent.add(self._step(next(batches), rate))
                state.step += 1
                state.seconds = budget.seconds_used
                self._report(recent, budget, state, rate)
                if self._is_due(state, budget):
                    self._validate(state, budget)
                    self._checkpoints.save(state)
                elif time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._checkpoints.save(state)
                    saved = time.monotonic()
            if interrupted():
                self._listener.say(f"Interrupted: ending early, after {state.step} steps.")
        return self._finish(state, budget)

    def _report(self, recent: "_Recent", budget: Budget, state: RunState, rate: float) -> None:
        self._check_finite(recent, state.step)
        progress = budget.progress(state.step)
        left = budget.seconds_left(state.step, recent.steps_per_second)
        report = StepReport(state.step, progress, recent.loss, recent.overlap.mean_iou, recent.steps_per_second, left)
        self._listener.step(report)
        if state.step % 10 == 0:
            self._monitor.scalars(
                state.step,
                {
                    "loss": recent.last_loss,
                    "gradient_norm": recent.last_gradient_norm,
                    "learning_rate": rate,
                    "steps_per_second": recent.steps_per_second,
                },
            )
            self._monitor.overlap(state.step, "train", recent.overlap)

    def _check_finite(self, recent: "_Recent", step: int) -> None:
        """Stop before weights that are lost are saved."""
        settings = self._settings
        values = {"loss": recent.last_loss}
        if settings.precision != "mixed_float16":  # whose loss scaling skips such a step
            values["gradient"] = recent.last_gradient_norm
        for name, value in values.items():
            if not np.isfinite(value):
                saved = self._checkpoints.saved_step
                kept = "No checkpoint was saved yet" if saved is None else f"The checkpoint of step {saved} is kept"
                wider = "" if settings.precision == "float32" else f", or in 'float32' (it was {settings.precision!r})"
                raise WorkError(
                    f"The {name} became {value} at step {step}. {kept}. Train again with a lower "
                    f"optimizer.learning_rate (it was {settings.optimizer.learning_rate:g}){wider}."
                )

    def _is_due(self, state: RunState, budget: Budget) -> bool:
        """Whether this step passes the next tenth of the budget, and time for validations is left."""
        if not self._held_out:
            return False
        if self._settings.steps:
            return (
                state.step * VALIDATIONS // self._settings.steps
                > (state.step - 1) * VALIDATIONS // self._settings.steps
            )
        due = (len(state.validations) + 1) / VALIDATIONS
        affordable = state.seconds_validating <= VALIDATION_SHARE * budget.seconds_used
        return due < 1 and budget.progress(state.step) >= due and affordable

    def _validate(self, state: RunState, budget: Budget) -> Validation:
        start = time.monotonic()
        self._collect_moments(self._moment_images)
        validation = self._scores()
        score = validation.overlap.mean_iou
        state.validations.append(
            {
                "step": state.step,
                "seconds": round(budget.seconds_used, 1),
                "mean_iou": score,
                "mean_dice": validation.overlap.mean_dice,
            }
        )
        if score > state.best_score:
            state.best_score, state.best_step = score, state.step
            self._checkpoints.save_best()
            self._best = validation
        self._listener.validated(state.step, validation.overlap)
        self._monitor.overlap(state.step, "validation", validation.overlap)
        self._monitor.pictures(state.step, self._pictures(validation))
        self._monitor.flush()
        state.seconds_validating += time.monotonic() - start
        return validation

    def _scores(self) -> Validation:
        """The scores of the model as it is now, with the statistics that it will be used with."""
        predictor = self._predictor
        if self._current_statistics:
            predictor = KerasPredictor(with_current_statistics(self._model), predictor.geometry)
        return validate(predictor, self._held_out, self._settings.network.filters or 0)

    def _pictures(self, validation: Validation) -> dict[str, NDArray[np.uint8]]:
        """Three slices through the middle of the first held-out labels: image, truth, prediction."""
        shown = self._held_out[0]
        z, y, x = _middle(shown.class_index != UNLABELED)
        maps = [shown.class_index, validation.first]
        return {
            f"validation/{axis}": slice_panel(
                shown.image, maps, axis=axis, at=(z, y, x), spacing=shown.spacing, colours=self._colours
            )
            for axis in AXES
        }

    def _finish(self, state: RunState, budget: Budget) -> Trained:
        """Choose between the last weights and the best, and leave the model as it will be used."""
        validation = None
        if self._held_out and not (state.validations and state.validations[-1]["step"] == state.step):
            self._validate(state, budget)
        self._checkpoints.save(state)
        if not self._held_out:
            self._collect_moments(self._moment_images)
        else:
            self._checkpoints.restore_best()
            validation = self._best or self._scores()
        model = build_network(self._settings, self._model.input_shape[-1], self._classes, "float32")
        model.set_weights(self._model.get_weights())
        return Trained(model, state, validation)


class _Recent:
    """The last steps: their mean loss, their scores and their rate."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=RECENT_STEPS)
        self._gradient_norms: deque[float] = deque(maxlen=1)
        self._confusions: deque[NDArray[np.int64]] = deque(maxlen=RECENT_STEPS)
        self._times: deque[float] = deque([time.monotonic()], maxlen=RECENT_STEPS)

    def add(self, result: StepResult) -> None:
        if not self._losses:
            self._times.clear()  # the first step traces the graph
        self._losses.append(scalar(result.loss))
        self._gradient_norms.append(scalar(result.gradient_norm))
        self._confusions.append(result.confusion.numpy())
        self._times.append(time.monotonic())

    @property
    def last_loss(self) -> float:
        return self._losses[-1]

    @property
    def last_gradient_norm(self) -> float:
        return self._gradient_norms[-1]

    @property
    def loss(self) -> float:
        return float(np.mean(self._losses))

    @property
    def overlap(self) -> Overlap:
        return Overlap(np.sum(self._confusions, axis=0))

    @property
    def steps_per_second(self) -> float:
        took = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / took if took > 0 else 0.0


def _middle(labelled: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The median position of the labelled voxels along each axis: always one that is labelled."""
    z, y, x = (
        int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        for counts in (np.count_nonzero(labelled, axis=others) for others in ((1, 2), (0, 2), (0, 1)))
    )
    return z, y, x


def build_network(settings: Settings, channels: int, classes: int, precision: str) -> keras.Model:
    """Build the network that the resolved settings describe, for tiles of any valid size."""
    network = settings.network
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return build_unet3d(
            (None, None, None, channels),
            classes,
            filters=network.filters or 0,
            depth=network.depth,
            padding=network.geometry.padding,
            normalization=None if network.normalization == "none" else network.normalization,
            seed=settings.seed,
        )
    finally:
        keras.config.set_dtype_policy(before)
