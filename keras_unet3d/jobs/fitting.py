"""`fit`: read → weigh → augment → step → export."""

from __future__ import annotations

import time
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from keras_unet3d.errors import WorkError
from keras_unet3d.metrics import Scores
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes
from keras_unet3d.volumes import written_whole
from keras_unet3d.volumes.outputs import check_output_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.crew import Crew
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.plan import Decision
    from keras_unet3d.training.runs import Run
    from keras_unet3d.training.sampling import TrainingVolume
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.start import Start
    from keras_unet3d.training.trainer import Circumstances


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
    """

    model: Path | None
    run: Path
    scores: Scores | None
    steps: int
    minutes: float


def plan_fit(
    dataset: PathLike | Dataset,
    settings: Settings | None = None,
    *,
    meaning: Meaning | None = None,
) -> FitPlan:
    """Read and check a dataset, and decide what is not set.

    Args:
        dataset: a folder, or `keras_unet3d.annotation.dataset_from_pairs`.
        settings: what the user set; see `keras_unet3d.training.settings.Settings`.
        meaning: how to read unpainted voxels, where the files do not say.

    Raises:
        InputError: with all that is wrong with the dataset, a line each.
    """
    from keras_unet3d.training.plan import median_spacing, resolve
    from keras_unet3d.training.runtime import prepare_runtime
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.start import with_network_of_start
    from keras_unet3d.training.windows import resolve_windows
    from keras_unet3d.training.working_spacing import labels_of, resolve_spacing

    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    read = load_cases(files, meaning)
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
    from keras_unet3d.training.runs import call_fingerprint, open_run
    from keras_unet3d.training.settings import Settings, read_settings
    from keras_unet3d.training.trainer import Circumstances

    start = time.monotonic()
    listener = listener or Quiet()
    settings = settings or Settings()
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    check_output_folder(Path(models) / name)  # not after hours of training
    plan = plan_fit(files, settings, meaning=meaning)
    crew = gather_crew(plan.settings.devices, listener.say)

    fingerprint = call_fingerprint(settings, _paths(files), meaning, files.scheme)
    with ExitStack() as opened:
        if not crew.writes:
            runs = opened.enter_context(TemporaryDirectory(prefix="unet3d_worker_"))
        run = open_run(Path(runs) / name, fingerprint)
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
        listener.planned(plan)
        return _train_and_export(
            plan, run, Path(models) / name, Circumstances(run.folder, listener, start, crew, profile)
        )


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
    from keras_unet3d.serving.export import export_model
    from keras_unet3d.training.held_out import Preparation, part
    from keras_unet3d.training.plan import median_spacing
    from keras_unet3d.training.trainer import Training
    from keras_unet3d.training.working_spacing import resampling_sentence

    settings, scheme, listener = plan.settings, plan.dataset.scheme, circumstances.listener
    working = settings.resampled_to
    if working is not None:
        listener.say(resampling_sentence(plan.dataset.cases, working))
    prepared = Preparation(settings.intensity.of(plan.dataset.channel_names), working)
    parted = part(plan.dataset.cases, settings.hold_out, prepared)
    listener.say(parted.sentence)
    counts = sum(class_counts(volume.class_index, scheme.classes) for volume in parted.training)
    weights = _class_weights(settings, scheme, counts)
    start = _start(settings, plan.dataset.channel_names, scheme, listener)
    trained = Training(settings, parted.training, parted.validation, scheme, weights, circumstances, start).run()

    scores = Scores.of(trained.validation.overlap, scheme) if trained.validation else None
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
    }
    spacing, unit = median_spacing([case.image.grid for case in plan.dataset])
    if working is not None:
        spacing, unit = working.edges, working.unit
    description = _describe(settings, scheme, plan.dataset.channel_names, spacing, unit, report)
    listener.say("Exporting the model, and trying what was exported …")
    with written_whole(run.folder / "model.keras") as file:
        trained.model.save(file)
    description = _with_agreement(description, trained.model, parted.training)
    version = export_model(trained.model, models, description)
    run.finish()
    return FitResult(version, run.folder, scores, steps, minutes)


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


def _with_agreement(description: ModelDescription, model: Any, volumes: Sequence[TrainingVolume]) -> ModelDescription:
    """See on training volumes whether bfloat16 gives the labels of float32."""
    from keras_unet3d.inference.agreement import precision_agreement
    from keras_unet3d.network.statistics import with_current_statistics

    network = with_current_statistics(model) if description.statistics == "current" else model
    names = [each.name for each in description.classes]
    seen = [(volume.image, volume.class_index) for volume in volumes]
    return description.model_copy(update={"bfloat16": precision_agreement(network, description.size, seen, names)})


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
