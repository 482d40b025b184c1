"""`fit`: read → weigh → augment → step → export."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keras_unet3d.annotation import Dataset, Meaning, class_counts, read_dataset
from keras_unet3d.jobs.exporting import check_destination
from keras_unet3d.jobs.fit_plan import FitPlan, loss_weights, plan_fit
from keras_unet3d.jobs.fit_run import fingerprint_of, opened_run
from keras_unet3d.jobs.trained_model import export_trained, facts_of_data, name_trained
from keras_unet3d.metrics import Scores
from keras_unet3d.volumes import written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.held_out import Preparation
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.runs import Run
    from keras_unet3d.training.sampling import TrainingVolume
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.start import Start
    from keras_unet3d.training.trainer import Circumstances, Trained


@dataclass(frozen=True, eq=False)
class FitResult:
    """What `fit` leaves.

    Attributes:
        model: the exported version, ``models/<name>/<n>``; None where another worker exports it.
        run: the training folder with checkpoints, TensorBoard logs, ``settings.toml`` and the Keras model; of another
            worker than 0 one that is gone when it ends.
        scores: of the model on what was held out, None where nothing was.
        steps: that were trained.
        minutes: that were used, from the start of the call to the last validation.
        report: a page about all of it, in the run's folder; None where another worker writes it, or it could not be.
    """

    model: Path | None
    run: Path
    scores: Scores | None
    steps: int
    minutes: float
    report: Path | None = None


def fit(
    dataset: PathLike | Dataset,
    settings: Settings | None = None,
    *,
    meaning: Meaning | None = None,
    name: str = "unet3d",
    models: PathLike = "models",
    runs: PathLike = "runs",
    listener: Listener | None = None,
    profile: bool = False,
) -> FitResult:
    """Train a network on annotated volumes and export it as ``models/<name>/<n>``.

    The same call again continues a run that was killed.

    Args:
        dataset: a folder with ``dataset.json``, or with ``images/`` and ``labels/``; or `dataset_from_pairs`.
        settings: what is set; the rest is decided from the data.
        meaning: how to read unpainted voxels, where the files do not say.
        name: of the model.
        models: folder that the model is exported into.
        runs: folder of training runs; TensorBoard reads it.
        listener: told what happens; see `keras_unet3d.training.listener.Listener`.
        profile: whether to write a TensorBoard profile of some steps into the run's folder.

    Returns:
        Where the model is, and how well it does on what was held out.

    Raises:
        InputError: if the data or the settings are wrong, or the same training is running already; nothing was started.
        WorkError: if training fails; the last good checkpoint is kept.
    """
    from keras_unet3d.training.crew import gather_crew
    from keras_unet3d.training.listener import Quiet
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.trainer import Circumstances

    start = time.monotonic()
    listener = listener or Quiet()
    settings = settings or Settings()
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    check_destination(Path(models) / name)  # not after hours of training
    plan = plan_fit(files, settings, meaning=meaning)
    crew = gather_crew(plan.settings.devices, listener.say)

    fingerprint = fingerprint_of(files, settings, meaning)
    with opened_run(plan, settings, fingerprint, Path(runs) / name, crew, listener) as (plan, run):
        listener.planned(plan)
        return _train_and_export(
            plan, run, Path(models) / name, Circumstances(run.folder, listener, start, crew, profile)
        )


def _train_and_export(plan: FitPlan, run: Run, models: Path, circumstances: Circumstances) -> FitResult:
    """The part of `fit` that has a folder to continue in."""
    from keras_unet3d.jobs.fit_report import write_fit_report
    from keras_unet3d.training.curves import read_curves
    from keras_unet3d.training.held_out import part

    settings, listener = plan.settings, circumstances.listener
    parted = part(plan.dataset.cases, settings.hold_out, preparation_of(plan, listener))
    listener.say(parted.sentence)
    trained = train(plan, parted.training, parted.validation, circumstances)

    scores = Scores.of(trained.validation.overlap, plan.dataset.scheme) if trained.validation else None
    steps, minutes = trained.state.step, trained.state.seconds / 60
    if not circumstances.crew.writes:
        return FitResult(None, run.folder, scores, steps, minutes)
    report = {
        "cases": len(plan.dataset),
        "labelled_voxels": plan.summary.voxels,
        "steps": steps,
        "minutes": round(minutes, 2),
        "kept_step": trained.state.best_step or trained.state.step,
        "held_out": parted.sentence,
        "validation": scores.as_json() if scores else None,
        "learned_from": [volume.name for volume in parted.training],
        "curves": read_curves(run.folder).thinned().as_json(),
        **facts_of_data(plan),
    }
    listener.say("Exporting the model, and trying what was exported …")
    with written_whole(run.folder / "model.keras") as file:
        trained.model.save(file)
    if not trained.has_time:
        listener.say("No time is left to compare its labels in bfloat16 with those in float32: it is used in float32.")
    compared = parted.training if trained.has_time else ()
    version = export_trained([trained.model], plan, report, compared, models)
    name_trained(version, listener)
    run.finish()
    page = write_fit_report(run.folder, version, plan, parted, trained, listener)
    return FitResult(version, run.folder, scores, steps, minutes, page)


def preparation_of(plan: FitPlan, listener: Listener) -> Preparation:
    """What becomes of each case before it is learned from; the listener is told where cases are resampled."""
    from keras_unet3d.training.held_out import Preparation
    from keras_unet3d.training.surroundings import surroundings
    from keras_unet3d.training.working_spacing import resampling_sentence

    working = plan.settings.resampled_to
    if working is not None:
        listener.say(resampling_sentence(plan.dataset.cases, working))
    margins = surroundings(plan.settings, plan.dataset.cases)
    return Preparation(plan.settings.intensity.of(plan.dataset.channel_names), working, margins)


def train(
    plan: FitPlan,
    volumes: Sequence[TrainingVolume],
    held_out: Sequence[TrainingVolume],
    circumstances: Circumstances,
) -> Trained:
    """Train by a plan, in a folder in which it may have begun.

    Args:
        plan: what was decided.
        volumes: to learn from.
        held_out: to validate on; may be empty.
        circumstances: where, and who watches.

    Raises:
        WorkError: if training fails.
    """
    from keras_unet3d.training.trainer import Training

    settings, scheme = plan.settings, plan.dataset.scheme
    counts = sum(class_counts(volume.class_index, scheme.classes) for volume in volumes)
    weights = loss_weights(settings, scheme, counts)
    start = _start(plan, circumstances.listener)
    return Training(settings, volumes, held_out, scheme, weights, circumstances, start).run()


def _start(plan: FitPlan, listener: Listener) -> Start | None:
    """The model that training begins with."""
    from keras_unet3d.serving.saved_model import load_model
    from keras_unet3d.training.known import Known
    from keras_unet3d.training.start import Start

    if plan.settings.start is None:
        return None
    loaded = load_model(plan.settings.start)
    known = Known.of(loaded.description, plan.dataset.channel_names, plan.dataset.scheme)
    listener.say(f"Training begins with the weights of {loaded.path}.")
    return Start(loaded.network, known.channels, known.classes)
