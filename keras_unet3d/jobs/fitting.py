"""`fit`: read → weigh → augment → step → export."""

from __future__ import annotations

import time
import tomllib
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet3d.annotation import (
    AnnotatedDataset,
    Dataset,
    LabelScheme,
    Meaning,
    TrainingSummary,
    class_counts,
    class_weights,
    given_class_weights,
    load_cases,
    read_dataset,
    summarize,
)
from keras_unet3d.errors import UNet3DError, WorkError
from keras_unet3d.jobs.exporting import check_destination, serving_sentence
from keras_unet3d.metrics import Scores
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes
from keras_unet3d.serving.served_folder import name_to_server
from keras_unet3d.volumes import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.crew import Crew
    from keras_unet3d.training.held_out import Preparation
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.plan import Decision
    from keras_unet3d.training.runs import Run
    from keras_unet3d.training.sampling import TrainingVolume
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.start import Start
    from keras_unet3d.training.trainer import Circumstances, Trained


MOST_DESCRIBED = 50
"""Cases that a model describes, of those that it was trained on."""


@dataclass(frozen=True, eq=False)
class FitPlan:
    """What `fit` will do, before it does anything.

    Attributes:
        dataset: read and checked.
        summary: what will be trained on.
        settings: resolved: nothing is undecided.
        decisions: what was decided from data and machine, and why.
    """

    dataset: AnnotatedDataset
    summary: TrainingSummary
    settings: Settings
    decisions: tuple[Decision, ...]


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


def plan_fit(
    dataset: PathLike | Dataset,
    settings: Settings | None = None,
    *,
    meaning: Meaning | None = None,
    in_parts: bool = True,
) -> FitPlan:
    """Read and check a dataset, and decide what is not set.

    Args:
        dataset: a folder, or `keras_unet3d.annotation.dataset_from_pairs`.
        settings: what the user set; see `keras_unet3d.training.settings.Settings`.
        meaning: how to read unpainted voxels, where the files do not say.
        in_parts: whether of a large OME-Zarr the labelled parts alone are read, each of which becomes a case.

    Raises:
        InputError: with all that is wrong with the dataset, a line each.
    """
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    return plan_for(load_cases(files, meaning, in_parts=in_parts), settings)


def plan_for(read: AnnotatedDataset, settings: Settings | None = None) -> FitPlan:
    """Decide what is not set, for cases in memory.

    Args:
        read: cases, not changed.
        settings: what the user set.

    Raises:
        InputError: if settings do not fit the cases.
    """
    from keras_unet3d.training.plan import median_spacing, resolve
    from keras_unet3d.training.runtime import prepare_runtime
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.start import with_network_of_start
    from keras_unet3d.training.windows import resolve_windows
    from keras_unet3d.training.working_spacing import labels_of, resolve_spacing

    settings, chosen = resolve_spacing(with_network_of_start(settings or Settings()), read.cases)
    working = settings.resampled_to
    spacing = working.edges if working else median_spacing([case.image.grid for case in read])[0]
    machine = prepare_runtime(settings.devices)
    resolved, decisions = resolve(settings, [labels_of(case, working) for case in read], spacing, **machine._asdict())
    resolved, windows = resolve_windows(resolved, read)
    _class_weights(resolved, read.scheme, [1] * read.scheme.classes)  # wrong names are found before work starts
    return FitPlan(read, summarize(read), resolved, (*chosen, *decisions, *windows))


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


def fingerprint_of(dataset: Dataset, settings: Settings, meaning: Meaning | None, *others: str) -> str:
    """What makes two calls the same, so that the second continues what the first has left."""
    from keras_unet3d.training.runs import call_fingerprint

    return call_fingerprint(settings, _paths(dataset), meaning, dataset.scheme, *others)


@contextmanager
def opened_run(
    plan: FitPlan, settings: Settings, fingerprint: str, folder: Path, crew: Crew, listener: Listener
) -> Iterator[tuple[FitPlan, Run]]:
    """Open the run of a call and keep other calls out of it; what was decided when it began stays decided.

    Args:
        plan: as it would be decided now.
        settings: as given.
        fingerprint: of the call.
        folder: of all runs of this name.
        crew: who trains.
        listener: told what happens.
    """
    from keras_unet3d.training.runs import open_run
    from keras_unet3d.training.settings import read_settings

    with ExitStack() as opened:
        if not crew.writes:
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="unet3d_worker_"))) / folder.name
        run = open_run(folder, fingerprint)
        opened.enter_context(run.alone())
        if run.other_unfinished:
            listener.say(
                f"{run.other_unfinished} is unfinished and kept; data or settings differ, so a new run begins."
            )
        resolved_file = run.folder / "settings.toml"
        if resolved_file.exists():  # what was decided for this run stays decided, wherever it continues
            plan = _continued(plan, read_settings(resolved_file), settings)
        plan = _agreed(plan, crew)
        plan.settings.write(resolved_file)
        yield plan, run


def _continued(plan: FitPlan, decided: Settings, given: Settings) -> FitPlan:
    """The plan with what was decided when the run began; but for what may change, where it is given now."""
    from keras_unet3d.training.runs import CHANGEABLE

    settings = decided.model_copy(update={name: getattr(given, name) for name in CHANGEABLE & given.model_fields_set})
    if settings.recompute is None:
        settings = settings.model_copy(update={"recompute": plan.settings.recompute})
    still = [
        each for each in plan.decisions if attrgetter(each.setting)(settings) == attrgetter(each.setting)(plan.settings)
    ]
    return replace(plan, settings=settings, decisions=tuple(still))


def _agreed(plan: FitPlan, crew: Crew) -> FitPlan:
    """The settings of worker 0, for all; with as many devices as there are now."""
    from keras_unet3d.training.plan import check_shares
    from keras_unet3d.training.settings import validated

    settings = validated(tomllib.loads(crew.told(plan.settings.as_toml())))
    shapes = "\n".join(
        f"{case.name} {case.class_index.shape} {np.count_nonzero(case.class_index >= 0)}" for case in plan.dataset
    )
    if crew.told(shapes) != shapes:
        raise WorkError(
            f"Worker {crew.worker} of {crew.workers} reads other data than worker 0. Give all the same files."
        )
    check_shares(settings, settings.batch_size or 1, crew.devices)
    return replace(plan, settings=settings)


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
    version = export_trained([trained.model], plan, report, parted.training, models)
    name_trained(version, listener)
    run.finish()
    page = write_fit_report(run.folder, version, plan, parted, trained.validation, listener)
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
        plan: its settings are resolved.
        volumes: to learn from.
        held_out: to validate on; may be empty.
        circumstances: where, and who watches.

    Raises:
        WorkError: if training fails.
    """
    from keras_unet3d.training.trainer import Training

    settings, scheme = plan.settings, plan.dataset.scheme
    counts = sum(class_counts(volume.class_index, scheme.classes) for volume in volumes)
    weights = _class_weights(settings, scheme, counts)
    start = _start(settings, plan.dataset.channel_names, scheme, circumstances.listener)
    return Training(settings, volumes, held_out, scheme, weights, circumstances, start).run()


def facts_of_data(plan: FitPlan) -> dict[str, Any]:
    """What a model says of the data that it was trained on, and of what was decided from them."""
    return {
        "data": {"rows": plan.summary.as_json()["rows"][:MOST_DESCRIBED]},
        "decisions": [asdict(decision) for decision in plan.decisions],
    }


def describe(plan: FitPlan, report: dict[str, Any]) -> ModelDescription:
    """What is trained by a plan, with what the training reports of itself."""
    from keras_unet3d.training.plan import median_spacing

    working = plan.settings.resampled_to
    spacing, unit = median_spacing([case.image.grid for case in plan.dataset])
    if working is not None:
        spacing, unit = working.edges, working.unit
    return _describe(plan.settings, plan.dataset.scheme, plan.dataset.channel_names, spacing, unit, report)


def export_trained(
    networks: Sequence[Any], plan: FitPlan, report: dict[str, Any], volumes: Sequence[TrainingVolume], folder: Path
) -> Path:
    """Export networks that were trained by one plan as the next version of a model, the mean of their probabilities.

    Args:
        networks: in float32; at least one.
        plan: of each.
        report: of the training.
        volumes: to compare the labels of both precisions on.
        folder: of the model.

    Raises:
        WorkError: if writing fails.
    """
    from keras_unet3d.serving.export import export_model

    return export_model(networks, folder, _with_agreement(describe(plan, report), networks, volumes))


def name_trained(version: Path, listener: Listener) -> None:
    """Name an exported version to TensorFlow Serving; the model is there, whatever becomes of that."""
    try:
        listener.say(serving_sentence(version, name_to_server(version)))
    except UNet3DError as error:
        listener.say(f"TensorFlow Serving is not told of it: {error}")


def _start(settings: Settings, channels: Sequence[str], scheme: LabelScheme, listener: Listener) -> Start | None:
    """The model that training begins with."""
    from keras_unet3d.serving.saved_model import load_model
    from keras_unet3d.training.start import Start

    if settings.start is None:
        return None
    loaded = load_model(settings.start)
    start = Start.of(loaded.network, loaded.description, channels, scheme.names)
    listener.say(f"Training begins with the weights of {loaded.path}: {start.sentence}.")
    return start


def _with_agreement(
    description: ModelDescription, models: Sequence[Any], volumes: Sequence[TrainingVolume]
) -> ModelDescription:
    """See on training volumes whether bfloat16 gives the labels of float32."""
    from keras_unet3d.inference.agreement import precision_agreement
    from keras_unet3d.network.statistics import with_current_statistics

    networks = [with_current_statistics(each) if description.statistics == "current" else each for each in models]
    names = [each.name for each in description.classes]
    seen = [(volume.image, volume.class_index) for volume in volumes]
    return description.model_copy(update={"bfloat16": precision_agreement(networks, description.size, seen, names)})


def _paths(dataset: Dataset) -> list[Path]:
    return [path for case in dataset.cases for path in (*case.images, *([case.labels] if case.labels else []))]


def _class_weights(settings: Settings, scheme: LabelScheme, counts: Any) -> Sequence[float]:
    match settings.loss.class_weights:
        case "balanced":
            return [float(weight) for weight in class_weights(counts)]
        case "equal" | None:
            return [1.0] * scheme.classes
        case named_weights:
            return [float(weight) for weight in given_class_weights(named_weights, scheme)]


def _describe(
    settings: Settings,
    scheme: LabelScheme,
    channels: tuple[str, ...],
    spacing: tuple[float, float, float],
    unit: str,
    report: dict[str, Any],
) -> ModelDescription:
    network = settings.network
    geometry = network.geometry
    return ModelDescription.model_validate(
        {
            "classes": describe_classes(scheme),
            "unlabeled": scheme.unlabeled,
            "channels": channels,
            "normalization": None if network.normalization == "none" else network.normalization,
            "filters": network.filters,
            "geometry": TileGeometry.of(geometry),
            "statistics": network.statistics,
            "spacing": spacing,
            "unit": unit,
            "resampled": settings.resampled_to is not None,
            "mirrored_axes": settings.augmentation.mirror,
            "intensity": {"windows": settings.intensity.resolved_windows},
            "settings": settings.model_dump(mode="json", exclude_none=True),
            "training": report,
        }
    )
