"""The training loop: data → step → validation → checkpoint, until the budget is used."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import WorkError
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training.after import comparison_flop, flop_per_second
from keras_unet3d.training.augmentation_place import AugmentationPlace
from keras_unet3d.training.budget import Budget
from keras_unet3d.training.checkpoints import Checkpoints, RunState
from keras_unet3d.training.crew import Crew
from keras_unet3d.training.curves import CurvesFile
from keras_unet3d.training.interrupt import ends_early
from keras_unet3d.training.listener import Listener, Quiet, StepReport
from keras_unet3d.training.model import build_network
from keras_unet3d.training.monitor import Monitor
from keras_unet3d.training.normalization import for_training
from keras_unet3d.training.pipeline import TrainingBatches, moment_images
from keras_unet3d.training.profile import Profile
from keras_unet3d.training.recent import RecentSteps
from keras_unet3d.training.resolved import ResolvedSettings
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.schedule import learning_rate
from keras_unet3d.training.stages import tile_at
from keras_unet3d.training.start import Start, begin_with
from keras_unet3d.training.step import TrainingStep, build_optimizer
from keras_unet3d.training.tile_images import ImagesError
from keras_unet3d.training.validation import Validation, Validator, slice_pictures
from keras_unet3d.volumes.axes import named

VALIDATIONS = 10
"""How often a run is validated: this often, evenly over its budget."""
VALIDATION_SHARE = 0.1
"""By the clock, a validation is left out while more than this share of the time went into validations."""
CHECKPOINT_SECONDS = 60.0
"""A killed run loses about this much at most."""
LOGGED_STEPS = 10
"""TensorBoard and the curves show every tenth step; the curves the first steps, too."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes:
        model: float32, with its best weights and freshly collected moments.
        state: the run at its end, all validations included.
        validation: scores of the model that is kept, or None where nothing was held out.
        early: whether an interrupt ended it before its time.
        has_time: whether enough of it is left to compare the labels of both precisions.
    """

    model: keras.Model
    state: RunState
    validation: Validation | None
    early: bool = False
    has_time: bool = True


@dataclass(frozen=True, eq=False)
class Circumstances:
    """Where a training runs and who watches: nothing that changes what is learned.

    Attributes:
        folder: of the run; exists.
        listener: told what happens.
        start: when the call began, by `time.monotonic`; its minutes count from there. None is the start of `run`.
        crew: the devices that share each step.
        profile: whether to write a TensorBoard profile of some steps.
    """

    folder: Path
    listener: Listener = field(default_factory=Quiet)
    start: float | None = None
    crew: Crew = field(default_factory=Crew)
    profile: bool = False


class Training:
    """One run in one folder. Created again with the same arguments, it continues where it was.

    Args:
        settings: of the run.
        volumes: to learn from.
        held_out: to validate on; may be empty.
        scheme: classes, their names and colours.
        class_weights: of the loss, in class order.
        circumstances: where, and who watches.
        start: weights to begin with, where the run does not continue.
    """

    def __init__(
        self,
        settings: ResolvedSettings,
        volumes: Sequence[TrainingVolume],
        held_out: Sequence[TrainingVolume],
        scheme: LabelScheme,
        class_weights: Sequence[float],
        circumstances: Circumstances,
        start: Start | None = None,
    ) -> None:
        self._settings = settings
        self._volumes = volumes
        self._held_out = held_out
        self._scheme = scheme
        self._weights = class_weights
        self._listener, self._start = circumstances.listener, circumstances.start
        self._crew = crew = circumstances.crew
        self._model, self._optimizer, self._step = crew.guarded(self._build)
        self._begins_with = start
        self._validator = Validator(self._model, settings, volumes, held_out)
        self._best: Validation | None = None
        self._seconds_of_moments: float | None = None
        network = settings.network
        channels = volumes[0].image.shape[-1]
        self._size = NetworkSize(network.geometry, network.filters, channels, scheme.classes)
        folder = circumstances.folder
        self._checkpoints = Checkpoints(folder / "checkpoints", self._model, self._optimizer)
        self._monitor = Monitor(folder, scheme.names)
        self._curves_file = CurvesFile(folder, scheme.names)
        self._profile = Profile(folder if circumstances.profile and crew.writes else None)

    def _build(self) -> tuple[keras.Model, keras.Optimizer, TrainingStep]:
        settings, crew = self._settings, self._crew
        with crew.strategy.scope():
            channels = self._volumes[0].image.shape[-1]
            model = for_training(build_network(settings, channels, self._scheme.classes, settings.precision))
            optimizer = build_optimizer(settings.optimizer, settings.precision)
        step = TrainingStep(
            model,
            optimizer,
            settings.loss.dice,
            settings.optimizer.clip_norm or inf,
            parts=settings.accumulate,
            recompute=settings.recompute,
            crew=crew,
        )
        return model, optimizer, step

    def run(self) -> Trained:
        """Train until the budget is used or an interrupt asks to end early; then bring back the best weights.

        Raises:
            WorkError: if the loss stops being finite, or memory or time do not suffice for a step; the last good
                checkpoint is kept.
        """
        try:
            return self._run()
        finally:
            self._monitor.flush()

    def _run(self) -> Trained:
        settings, state = self._settings, self._resume()
        if state.step:
            self._listener.say(f"Continuing at step {state.step}, after {state.seconds / 60:.1f} minutes.")
        else:
            self._monitor.start(self._model, settings.model_dump(mode="json", exclude_none=True))
        self._curves_file.continue_at(state.step)
        budget = Budget(settings.minutes, settings.steps, state.seconds, self._start)
        recent = RecentSteps()
        self._keep_back(budget, state, recent)
        saved = lap = time.monotonic()
        crew, optimizer = self._crew, settings.optimizer
        place = AugmentationPlace(settings, crew)
        batches = TrainingBatches(
            settings.model_copy(update={"tile": tile_at(settings, *crew.agreed([budget.progress(state.step)]))}),
            self._volumes,
            self._weights,
            state.step,
            on_device=place.on_device,
            worker=crew.worker,
            workers=crew.workers,
        )
        with batches, ends_early() as interrupted, self._profile:
            while True:
                here = budget.progress(state.step) if crew.writes else 0.0
                progress, interrupts = crew.summed([here, interrupted()])
                if progress >= 1 or interrupts:
                    break
                tile = tile_at(settings, progress)
                if (tile, place.on_device) != (batches.tile, batches.on_device):
                    batches.move(state.step, on_device=place.on_device, tile=tile)
                start, warm_up = optimizer.learning_rate, optimizer.warm_up_steps
                rate = learning_rate(optimizer.schedule, start, progress, state.step, warm_up)
                waited = self._learn(batches, place, rate, recent, state)
                self._report(recent, budget, state, rate)
                said = place.after_step(waited, time.monotonic() - lap)
                lap = time.monotonic()
                if said:
                    self._listener.say(said)
                late = time.monotonic() - saved > CHECKPOINT_SECONDS
                due, late = map(bool, crew.agreed([self._is_due(state, budget), late]))
                if due or late:
                    self._look(recent)
                    if due:
                        self._validate(state, budget)
                        self._keep_back(budget, state, recent)
                    self._save(state, budget)
                    saved = lap = time.monotonic()
            self._look(recent)
            if progress < 1:
                if not state.step:
                    raise KeyboardInterrupt
                self._listener.say(f"Interrupted: ending early, after {state.step} steps.")
        trained = self._finish(state, budget)
        return replace(trained, early=progress < 1, has_time=budget.leaves(self._seconds_of_comparison(recent)))

    def _keep_back(self, budget: Budget, state: RunState, recent: RecentSteps) -> None:
        """Leave time for what comes after the last step, by what was measured so far."""
        if budget.steps:
            return
        if self._seconds_of_moments is None:  # which are part of each validation
            self._seconds_of_moments = 0.0 if self._held_out else self._validator.seconds_of_moments()
        before_export = max(state.longest_validation, self._seconds_of_moments)
        budget.keep_back(before_export + self._seconds_of_comparison(recent))

    def _seconds_of_comparison(self, recent: RecentSteps) -> float:
        """How long the export will compare the labels of both precisions; 0 where no speed is known."""
        settings = self._settings
        speed = flop_per_second(self._size, settings.tile, settings.batch_size, recent.steps_per_second)
        return comparison_flop(self._size, self._volumes) / speed if speed else 0.0

    def _resume(self) -> RunState:
        """Continue where worker 0 was, or begin."""
        state, crew = self._checkpoints.resume(), self._crew
        if self._begins_with is not None and not state.step:
            begin_with(self._begins_with, self._model, moment_images(self._settings, self._volumes)[0][:1])
        (step,) = crew.agreed([state.step])
        if step and crew.workers > 1:
            state.step = int(step)
            crew.share([*self._model.variables, *self._optimizer.variables])
        return state

    def _learn(
        self,
        batches: TrainingBatches,
        place: AugmentationPlace,
        rate: float,
        recent: RecentSteps,
        state: RunState,
    ) -> float:
        """Take one step; returns the seconds that it waited for its tiles."""
        settings = self._settings
        start = time.monotonic()
        batch = next(batches)
        waited = time.monotonic() - start
        try:
            with self._profile.step(state.step):
                result = self._step(batch, rate)
        except (tf.errors.ResourceExhaustedError, ImagesError) as error:
            if place.on_trial:
                self._listener.say(place.give_up(str(error).splitlines()[0]))
                batches.move(state.step, on_device=False, tile=batches.tile)
                return self._learn(batches, place, rate, recent, state)
            if isinstance(error, ImagesError):
                raise
            tile = named(settings.tile)
            again = "" if settings.recompute else "--set recompute=true, "
            again += "--augment-on cpu, " if batches.on_device else ""
            raise WorkError(
                f"The memory does not suffice for steps of {settings.batch_size} × {tile} with "
                f"{settings.network.filters} filters. Train with {again}a smaller --tile or --batch-size, more "
                "--accumulate, or fewer --filters."
            ) from error
        state.step += 1
        recent.add(state.step, result, waited)
        return waited

    def _report(self, recent: RecentSteps, budget: Budget, state: RunState, rate: float) -> None:
        self._check_finite(recent)
        self._listener.step(
            StepReport(
                state.step,
                budget.progress(state.step),
                recent.loss,
                recent.overlap.mean_iou,
                recent.steps_per_second,
                budget.seconds_left(state.step, recent.steps_per_second),
                recent.waiting,
            )
        )
        if state.step % LOGGED_STEPS == 0:
            self._look(recent)
            self._keep_back(budget, state, recent)
            self._monitor.scalars(
                state.step,
                {
                    "loss": recent.last_loss,
                    "gradient_norm": recent.last_gradient_norm,
                    "learning_rate": rate,
                    "steps_per_second": recent.steps_per_second,
                    "waiting_for_data": recent.waiting,
                },
            )
            self._monitor.overlap(state.step, "train", recent.overlap)
        if state.step % LOGGED_STEPS == 0 or state.step < LOGGED_STEPS:
            self._curves_file.learned(recent.last_step, recent.loss, recent.overlap.mean_iou)

    def _look(self, recent: RecentSteps) -> None:
        """Wait for all steps, and stop before weights that are lost are saved."""
        recent.settle()
        if recent.last_step:
            self._check_finite(recent)

    def _check_finite(self, recent: RecentSteps) -> None:
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
                    f"The {name} became {value} at step {recent.last_step}. {kept}. Train again with a lower "
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

    def _validate(self, state: RunState, budget: Budget) -> None:
        start = time.monotonic()
        self._validator.collect_moments()
        validation = self._validator.scores()
        overlap, score = validation.overlap, validation.overlap.mean_iou
        seconds = round(budget.seconds_used, 1)
        noted = {"step": state.step, "seconds": seconds, "mean_iou": score, "mean_dice": overlap.mean_dice}
        state.validations.append(noted)
        if score > state.best_score:
            state.best_score, state.best_step = score, state.step
            self._checkpoints.save_best()
            self._best = validation
        self._listener.validated(state.step, overlap)
        self._monitor.overlap(state.step, "validation", overlap)
        self._monitor.curves(state.step, "validation", validation.curves)
        self._curves_file.validated(state.step, overlap)
        shown = slice_pictures(self._held_out[0], validation.first, self._scheme.colours)
        self._monitor.pictures(state.step, shown)
        self._monitor.flush()
        took = time.monotonic() - start
        state.seconds_validating += took
        state.longest_validation = max(state.longest_validation, took)

    def _save(self, state: RunState, budget: Budget) -> None:
        state.seconds = budget.seconds_used
        if self._crew.writes:
            self._checkpoints.save(state)

    def _finish(self, state: RunState, budget: Budget) -> Trained:
        """Choose between the last weights and the best, and leave the model as it will be used."""
        if not state.step:
            raise WorkError(
                f"The training ended before its first step, after {budget.seconds_used / 60:.1f} minutes: there is "
                "nothing to export. Give it more --minutes."
            )
        if self._held_out and not (state.validations and state.validations[-1]["step"] == state.step):
            self._validate(state, budget)
            self._save(state, budget)
        elif state.step != self._checkpoints.saved_step:
            self._save(state, budget)
        validation = None
        if self._held_out:
            self._checkpoints.restore_best()
            validation = self._best or self._validator.scores()
        else:
            self._validator.collect_moments()
        model = build_network(self._settings, self._model.input_shape[-1], self._scheme.classes, "float32")
        model.set_weights(self._model.get_weights())
        return Trained(model, state, validation)
