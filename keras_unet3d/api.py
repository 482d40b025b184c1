"""The jobs, each composed of the rooms: what the command line calls, and a Python user.

`fit` is: read → weigh → augment → step → export. `segment` is: read → plan → predict → stitch → write.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from keras_unet3d.annotation import (
    AnnotatedDataset,
    Dataset,
    LabelScheme,
    Meaning,
    Problem,
    TrainingSummary,
    check_dataset,
    class_counts,
    class_weights,
    dataset_from_pairs,
    given_class_weights,
    load_cases,
    read_dataset,
    summarize,
)
from keras_unet3d.errors import InputError
from keras_unet3d.metrics import Overlap, Scores
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes, read_description
from keras_unet3d.volumes import Volume, open_image, read_image, read_labels, write_image, write_labels, written_whole
from keras_unet3d.volumes.outputs import check_output_folder
from keras_unet3d.volumes.slabs import bytes_of, in_slabs
from keras_unet3d.volumes.suffixes import split_dataset
from keras_unet3d.volumes.voxels import as_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from keras_unet3d.inference.job import SegmentationJob, Statistics
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.planning import Plan
    from keras_unet3d.inference.postprocessing import ClassChange
    from keras_unet3d.inference.unfinished import Unfinished
    from keras_unet3d.network.work import Precision
    from keras_unet3d.serving.saved_model import LoadedModel
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.plan import Decision
    from keras_unet3d.training.runs import Run
    from keras_unet3d.training.sampling import TrainingVolume
    from keras_unet3d.training.settings import Settings

PathLike = str | Path
DEFAULT_MODEL = "models/unet3d"
Models = Any
"""A model's folder, a loaded model, or several of them."""


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
class Check:
    """What is wrong with a dataset, and what it holds.

    Attributes:
        problems: errors first, then warnings.
        summary: what would be trained on; None where there are errors.
    """

    problems: tuple[Problem, ...]
    summary: TrainingSummary | None

    @property
    def errors(self) -> int:
        """How many problems stop a training."""
        return sum(problem.severity == "error" for problem in self.problems)


def check(dataset: PathLike | Dataset, meaning: Meaning | None = None) -> Check:
    """Find everything that is wrong with a dataset, and sum up what it holds.

    Args:
        dataset: a folder, or `keras_unet3d.annotation.dataset_from_pairs`.
        meaning: how to read unpainted voxels, where the files do not say.
    """
    try:
        read = load_cases(dataset if isinstance(dataset, Dataset) else read_dataset(dataset), meaning)
    except InputError:
        return Check(tuple(check_dataset(dataset, meaning)), None)
    return Check(read.warnings, summarize(read))


@dataclass(frozen=True, eq=False)
class FitResult:
    """What `fit` leaves.

    Attributes:
        model: the exported version, ``models/<name>/<n>``.
        run: the training folder with checkpoints, TensorBoard logs, ``settings.toml`` and the Keras model.
        scores: of the model on what was held out, None where nothing was.
        steps: that were trained.
        minutes: that were used, from the start of the call to the last validation.
    """

    model: Path
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

    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    read = load_cases(files, meaning)
    spacing, _ = median_spacing([case.image.grid for case in read])
    resolved, decisions = resolve(
        settings or Settings(),
        [case.image.grid.shape for case in read],
        spacing,
        has_gpu=prepare_runtime(),
    )
    _class_weights(resolved, read.scheme, [1] * read.scheme.classes)  # wrong names are found before work starts
    return FitPlan(read, summarize(read), resolved, tuple(decisions))


def fit(
    dataset: PathLike | Dataset,
    settings: Settings | None = None,
    *,
    meaning: Meaning | None = None,
    name: str = "unet3d",
    models: PathLike = "models",
    runs: PathLike = "runs",
    listener: Listener | None = None,
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

    Returns:
        Where the model is, and how well it does on what was held out.

    Raises:
        InputError: if the data or the settings are wrong, or the same training is running already; nothing was started.
        WorkError: if training fails; the last good checkpoint is kept.
    """
    from keras_unet3d.training.listener import Quiet
    from keras_unet3d.training.runs import call_fingerprint, open_run
    from keras_unet3d.training.settings import Settings, read_settings

    start = time.monotonic()
    listener = listener or Quiet()
    settings = settings or Settings()
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    check_output_folder(Path(models) / name)  # not after hours of training
    plan = plan_fit(files, settings, meaning=meaning)

    fingerprint = call_fingerprint(settings, _paths(files), meaning, files.scheme)
    run = open_run(Path(runs) / name, fingerprint)
    with run.alone():
        if run.other_unfinished:
            listener.say(
                f"{run.other_unfinished} is unfinished and kept; data or settings differ, so a new run begins."
            )
        resolved_file = run.folder / "settings.toml"
        if resolved_file.exists():  # what was decided for this run stays decided, wherever it continues
            plan = replace(plan, settings=read_settings(resolved_file))
        plan.settings.write(resolved_file)
        listener.planned(plan)
        return _train_and_export(plan, run, Path(models) / name, listener, start)


def _train_and_export(plan: FitPlan, run: Run, models: Path, listener: Listener, start: float) -> FitResult:
    """The part of `fit` that has a folder to continue in."""
    from keras_unet3d.serving.export import export_model
    from keras_unet3d.training.held_out import part
    from keras_unet3d.training.plan import median_spacing
    from keras_unet3d.training.trainer import Training

    settings, scheme = plan.settings, plan.dataset.scheme
    spacing, unit = median_spacing([case.image.grid for case in plan.dataset])
    parted = part(plan.dataset.cases, settings.hold_out)
    listener.say(parted.sentence)
    counts = sum(class_counts(volume.class_index, scheme.classes) for volume in parted.training)
    weights = _class_weights(settings, scheme, counts)
    training = Training(settings, parted.training, parted.validation, scheme, weights, run.folder, listener, start)
    trained = training.run()

    scores = Scores.of(trained.validation.overlap, scheme) if trained.validation else None
    report = {
        "cases": len(plan.dataset),
        "labelled_voxels": plan.summary.voxels,
        "steps": trained.state.step,
        "minutes": round(trained.state.seconds / 60, 2),
        "kept_step": trained.state.best_step or trained.state.step,
        "held_out": parted.sentence,
        "validation": scores.as_json() if scores else None,
    }
    description = _describe(settings, scheme, plan.dataset.channel_names, spacing, unit, report)
    listener.say("Exporting the model, and trying what was exported …")
    with written_whole(run.folder / "model.keras") as file:
        trained.model.save(file)
    description = _with_agreement(description, trained.model, parted.training)
    version = export_model(trained.model, models, description)
    run.finish()
    return FitResult(version, run.folder, scores, trained.state.step, trained.state.seconds / 60)


def _with_agreement(description: ModelDescription, model: Any, volumes: Sequence[TrainingVolume]) -> ModelDescription:
    """See on training volumes whether bfloat16 gives the labels of float32."""
    from keras_unet3d.inference.agreement import precision_agreement
    from keras_unet3d.network.statistics import with_current_statistics

    network = with_current_statistics(model) if description.statistics == "current" else model
    names = [each.name for each in description.classes]
    seen = [(volume.image, volume.class_index) for volume in volumes]
    return description.model_copy(update={"bfloat16": precision_agreement(network, description.size, seen, names)})


def load_model(path: PathLike = DEFAULT_MODEL) -> LoadedModel:
    """Load an exported model, the newest version unless one is named.

    Raises:
        InputError: if it is no model of ours, or not safe to load.
    """
    from keras_unet3d.serving.saved_model import load_model as load

    return load(path)


def load_models(paths: Sequence[PathLike]) -> list[LoadedModel]:
    """Load models whose probabilities can be averaged.

    Raises:
        InputError: as `load_model`, and if their classes, channels or tile geometry differ; none is loaded then.
    """
    _described(list(paths))
    return [load_model(path) for path in paths]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A dense segmentation.

    Attributes:
        output: the file that was written, None where nothing was.
        held: the labels where nothing was written; see `labels`.
        shares: the part of the volume that each class takes, by its name.
        probabilities: float32 ``(z, y, x, class)``, if they were to be returned.
        plan: the tiles that were computed, and what they were expected to take.
        precision: of the features.
        statistics: that the networks normalised by: ``"moving"``, frozen ones; ``"volume"``, or ``"current"``.
        changes: what post-processing did to each class that occurs, by its name; empty without.
        warnings: what the user should know about the result; `segment` tells it before the work, too.
    """

    output: Path | None
    held: Volume | None
    shares: dict[str, float]
    probabilities: Volume | None
    plan: Plan
    precision: Precision
    statistics: Statistics
    changes: dict[str, ClassChange]
    warnings: tuple[str, ...]

    @property
    def labels(self) -> Volume:
        """The annotator's values ``(z, y, x)`` on the image's grid, with the names and colours of the classes."""
        if self.held is not None:
            return self.held
        if self.output is None:
            raise ValueError("Nothing was written, and nothing was kept.")
        return read_labels(self.output)


@dataclass(frozen=True, eq=False)
class SegmentationPlan:
    """What `segment` would do.

    Attributes:
        plan: the tiles, their work and memory.
        precision: of the features.
        statistics: that the networks would normalise by.
        done: the share of the work that a killed segmentation has left, from 0 to 1.
        seconds: that the networks would take for all of it, from how long they take for a small tile; None where that
            was not measured.
        warnings: what the user should know.
    """

    plan: Plan
    precision: Precision
    statistics: Statistics
    done: float
    seconds: float | None
    warnings: tuple[str, ...]


def plan_segmentation(
    image: PathLike | Sequence[PathLike] | Volume,
    *,
    model: Models = DEFAULT_MODEL,
    keep: PathLike | None = None,
    meaning: Meaning | None = None,
    options: SegmentOptions | None = None,
    in_memory: bool = False,
) -> SegmentationPlan:
    """Say what `segment` would do from the beginning, without doing it.

    Args:
        image: a file, several files (one per channel), or a volume in memory.
        model: as for `segment`.
        keep: as for `segment`.
        meaning: as for `segment`.
        options: as for `segment`.
        in_memory: whether the results would be returned, not written.

    Raises:
        InputError: if image, annotation and model do not fit each other, or the memory does not suffice.
    """
    with ExitStack() as opened:
        if keep is not None:
            image, _ = _kept(image, keep, _described(model)[0][1].scheme, meaning)
        job, told = _segmentation_job(image, model, options, opened, None, in_memory=in_memory)
        return SegmentationPlan(job.plan, job.precision, job.statistics, 0.0, job.seconds, (*told, *job.warnings))


def segment(
    image: PathLike | Sequence[PathLike] | Volume,
    output: PathLike | None = None,
    *,
    model: Models = DEFAULT_MODEL,
    keep: PathLike | None = None,
    meaning: Meaning | None = None,
    options: SegmentOptions | None = None,
    on_plan: Callable[[SegmentationPlan], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Segmentation:
    """Give every voxel of an image a label.

    The image is read part by part, and what is written is written part by part: memory is that of the plan, whatever
    the size of the volume. Without `output` the labels are kept in memory.

    Args:
        image: a file, several files (one per channel), or a volume in memory.
        output: where the label map is written; its suffix is its format. None writes nothing.
        model: a folder, with or without the version, or a loaded model; several are averaged.
        keep: an annotation of this image; what it says stays as annotated.
        meaning: how to read unpainted voxels of `keep`, where model and file do not say.
        options: what else is asked for; see `keras_unet3d.inference.options.SegmentOptions`.
        on_plan: told the plan before the work starts.
        progress: told the share of the work that is done, first what a killed segmentation has left.

    Returns:
        The labels on the image's grid, and what was done.

    Raises:
        InputError: if image, annotation and model do not fit each other, or the memory does not suffice.
        WorkError: if the result cannot be written.
    """
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.unfinished import Unfinished

    options = options or SegmentOptions()
    probabilities, uncertainty = options.probabilities, options.uncertainty
    if output is None and (options.resume or uncertainty or isinstance(probabilities, str | Path)):
        raise InputError("Probabilities, uncertainty and what can be resumed are written beside an output: name one.")
    models = _described(model)
    scheme = models[0][1].scheme
    facts = _facts(image, models, options, keep) if output is not None else {}
    kept = None
    if keep is not None:
        image, kept = _kept(image, keep, scheme, meaning)
    with ExitStack() as opened:
        unfinished = None
        if output is not None:
            unfinished = opened.enter_context(Unfinished(Path(output), facts, resume=options.resume))
        job, told = _segmentation_job(image, model, options, opened, unfinished, in_memory=output is None)
        volume, warnings = job.volume, (*told, *job.warnings)
        if on_plan is not None:
            on_plan(SegmentationPlan(job.plan, job.precision, job.statistics, job.done, None, warnings))
        segmented = job.run(kept, progress or (lambda _: None))
        labels = replace(volume, voxels=as_array(segmented.labels), segments=scheme.segments, channels=())
        chances = None
        if segmented.probabilities is not None:
            chances = replace(volume, voxels=as_array(segmented.probabilities), channels=scheme.names)
        if chances is not None and isinstance(probabilities, str | Path):
            write_image(probabilities, chances)
        if segmented.uncertainty is not None and uncertainty is not None:
            write_image(uncertainty, replace(volume, voxels=as_array(segmented.uncertainty), channels=("uncertainty",)))
        if output is not None:
            write_labels(output, labels)
        returned = chances if probabilities is True and chances is not None else None
        return Segmentation(
            output=Path(output) if output is not None else None,
            held=replace(labels, voxels=labels.voxels[:, :, :]) if output is None else None,
            shares={
                name: int(count) / prod(volume.grid.shape)
                for name, count in zip(scheme.names, segmented.counts, strict=True)
            },
            probabilities=returned and replace(returned, voxels=returned.voxels[:, :, :]),
            plan=job.plan,
            precision=job.precision,
            statistics=job.statistics,
            changes={scheme.names[change.class_index]: change for change in segmented.changes},
            warnings=warnings,
        )


def _segmentation_job(
    image: Any,
    model: Models,
    options: SegmentOptions | None,
    opened: ExitStack,
    unfinished: Unfinished | None,
    *,
    in_memory: bool,
) -> tuple[SegmentationJob, list[str]]:
    """Open the image, load the models, and plan; with what the user should know."""
    from keras_unet3d.inference.job import Member, SegmentationJob
    from keras_unet3d.inference.options import SegmentOptions

    models = _described(model)
    if not isinstance(image, Volume):
        image = opened.enter_context(open_image(image, scratch=unfinished.folder if unfinished else None))
    told = [sentence for _, description in models for sentence in _check_fits(image, description)]
    members = []
    for source, description in models:
        loaded = load_model(source) if isinstance(source, str | Path) else source
        members.append(
            Member(
                str(loaded.path),
                loaded.network,
                loaded.size,
                description.bfloat16_agrees,
                description.mirrored_axes,
            )
        )
    scheme = models[0][1].scheme
    job = SegmentationJob(image, members, options or SegmentOptions(), scheme, unfinished, in_memory=in_memory)
    return job, list(dict.fromkeys(told))


def _described(model: Models) -> list[tuple[PathLike | LoadedModel, ModelDescription]]:
    """Models with their descriptions, checked to be of the same classes, channels and geometry."""
    models = list(model) if isinstance(model, list | tuple) else [model]
    if not models:
        raise InputError("Expected at least one model. Received: none")
    described = [
        (each, read_description(each) if isinstance(each, str | Path) else each.description) for each in models
    ]
    (name, first), *others = described
    for other_name, other in others:
        for what in ("classes", "channels", "geometry"):
            if getattr(other, what) != getattr(first, what):
                raise InputError(
                    f"{_name_of(other_name)}: its {what} differ from those of {_name_of(name)}. Only models of the "
                    f"same classes, channels and tile geometry can be averaged."
                )
    return described


def _name_of(model: PathLike | LoadedModel) -> str:
    return str(model if isinstance(model, str | Path) else model.path)


def _facts(
    image: Any, models: Sequence[tuple[Any, ModelDescription]], options: SegmentOptions, keep: Any
) -> dict[str, Any]:
    """What decides a segmentation: a killed one is only gone on with if all of it is the same."""
    files = [image] if isinstance(image, str | Path | Volume) else list(image)
    return {
        "image": [_held_facts(file) if isinstance(file, Volume) else _file_facts(file) for file in files],
        "model": [[_name_of(model), description.created.isoformat()] for model, description in models],
        "annotation": _file_facts(keep) if keep is not None else None,
        "precision": options.precision,
        "processor": "any" if options.precision != "auto" else _processor(),
        "statistics": options.statistics,
        "--tta": options.mirrored,
        "probabilities": bool(options.probabilities),
        "uncertainty": bool(options.uncertainty),
    }


def _held_facts(volume: Volume) -> list[Any]:
    checksum = 0
    for part in in_slabs(volume.voxels):
        checksum = crc32(bytes_of(part), checksum)
    return [str(volume.source or "a volume in memory"), *volume.voxels.shape, str(volume.voxels.dtype), checksum]


def _processor() -> str:
    """What the automatic precision depends on."""
    from keras_unet3d.inference.devices import has_bfloat16

    return "with bfloat16" if has_bfloat16((None,)) else "without bfloat16"


def _file_facts(path: PathLike) -> list[Any]:
    file, _ = split_dataset(path)
    return [str(Path(path).resolve()), *((file.stat().st_size, file.stat().st_mtime_ns) if file.exists() else ())]


def evaluate(
    prediction: PathLike, truth: PathLike, *, unlabeled: int | None = None, scheme: LabelScheme | None = None
) -> Scores:
    """Score a label map against the truth, at labelled voxels only.

    Without a scheme, classes are the values that either of the two holds, named as the files name them.

    Args:
        prediction: a dense label map.
        truth: labels on the same grid, dense or sparse.
        unlabeled: the value of voxels without a label in the truth.
        scheme: names the classes; that of a model is ``read_description(model).scheme``.

    Returns:
        IoU and Dice for each class, and their means.

    Raises:
        InputError: if a file cannot be read, or the two do not share a grid.
    """
    import numpy as np

    found, true = read_labels(prediction), read_labels(truth)
    if not found.grid.agrees(true.grid):
        raise InputError(
            f"{prediction}: {found.grid}; the truth {truth}: {true.grid}. Both must lie on the same grid: segment the "
            "image that was annotated."
        )
    if scheme is None:
        values = {int(value) for volume in (found, true) for value in np.unique(volume.voxels)}
        scheme = LabelScheme.from_values(values, {**found.segments, **true.segments}, unlabeled)
    elif unlabeled is not None:
        scheme = scheme.with_unlabeled(unlabeled)
    overlap = Overlap.of(_class_index(true, scheme), _class_index(found, scheme), scheme.classes)
    return Scores.of(overlap, scheme)


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What `demo` leaves.

    Attributes:
        data: the phantom, a dataset.
        model: the exported version.
        segmented: folder of the dense label maps.
        report: an HTML file.
        scores: against the hidden truth, all volumes together.
    """

    data: Path
    model: Path
    segmented: Path
    report: Path
    scores: Scores


def demo(
    folder: PathLike = "demo",
    *,
    minutes: float | None = None,
    steps: int | None = None,
    listener: Listener | None = None,
) -> Demonstration:
    """Tell the whole story on the phantom: annotated slices → training → dense segmentation → score → report.

    Args:
        folder: for everything; what an earlier demo left there is replaced, and nothing else is touched.
        minutes: of `fit`; `keras_unet3d.evaluation.demonstration.MINUTES` unless `steps` are given.
        steps: of training instead.
        listener: told what happens.

    Raises:
        InputError: if the folder holds what no demo made.
        WorkError: if the work fails.
    """
    from keras_unet3d.evaluation.comparison import Comparison, scores_of_all, write_comparison
    from keras_unet3d.evaluation.demonstration import SHAPE, clear_folder, demo_settings, introduction
    from keras_unet3d.phantom import write_phantom_dataset
    from keras_unet3d.training.listener import Quiet

    listener = listener or Quiet()
    settings = demo_settings(minutes, steps)
    folder = clear_folder(folder)
    listener.say("Making synthetic kidneys, and keeping the annotation of some slices …")
    data = write_phantom_dataset(folder / "data", SHAPE)
    fitted = fit(
        data, settings, name="kidney-phantom", models=folder / "models", runs=folder / "runs", listener=listener
    )

    listener.say("Segmenting every voxel …")
    segmented = folder / "segmented"
    segmented.mkdir()
    model = load_model(fitted.model)
    scheme = model.description.scheme
    comparisons = []
    for case in read_dataset(data).cases:
        image = read_image(case.images)
        labels = segment(image, segmented / case.images[0].name, model=model).labels
        annotation, truth = (read_labels(data / part / case.images[0].name) for part in ("labels", "truth"))
        maps = (scheme.class_index(each.voxels) for each in (annotation, labels, truth))
        comparisons.append(Comparison(case.name, image, *maps))
    report = folder / "report.html"
    write_comparison(
        report, "3D U-Net on synthetic kidneys", introduction(fitted.steps, fitted.minutes), comparisons, scheme
    )
    return Demonstration(data, fitted.model, segmented, report, scores_of_all(comparisons, scheme))


def _class_index(labels: Volume, scheme: LabelScheme) -> NDArray[np.int16]:
    try:
        return scheme.class_index(labels.voxels)
    except InputError as error:
        raise InputError(f"{labels.source}: {error}") from error


def _paths(dataset: Dataset) -> list[Path]:
    return [path for case in dataset.cases for path in (*case.images, *([case.labels] if case.labels else []))]


def _class_weights(settings: Settings, scheme: LabelScheme, counts: Any) -> Sequence[float]:
    match settings.loss.class_weights:
        case "balanced":
            return [float(weight) for weight in class_weights(counts)]
        case "equal":
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
            "geometry": TileGeometry(padding=geometry.padding, depth=geometry.depth),
            "statistics": network.statistics,
            "spacing": spacing,
            "unit": unit,
            "mirrored_axes": settings.augmentation.mirror,
            "settings": settings.model_dump(mode="json", exclude_none=True),
            "training": report,
        }
    )


def _kept(image: Any, keep: PathLike, scheme: LabelScheme, meaning: Meaning | None) -> tuple[Volume, NDArray[np.int16]]:
    """Image and class index of its annotation in the model's scheme, read and checked as a dataset of one case is."""
    if isinstance(image, Volume):
        raise InputError(
            f"keep needs the file of the image, to compare its grid with {keep}. Received: a volume in memory"
        )
    read = load_cases(replace(dataset_from_pairs([image], [keep]), scheme=scheme), meaning, to_learn=False)
    (case,) = read.cases
    try:  # what is said of unpainted voxels can take a class out of the scheme, or bring one in
        return case.image, scheme.index_of(case.class_index, read.scheme)
    except InputError as error:
        raise InputError(f"{keep}: {error}") from error


def _check_fits(volume: Volume, description: ModelDescription) -> list[str]:
    """Refuse an image that the model cannot take; say where it differs from what the model saw."""
    from keras_unet3d.training.plan import unusual_spacing

    name = volume.source or "the image"
    found, expected = volume.voxels.shape[-1], description.channels
    if found != len(expected):
        raise InputError(
            f"{name}: has {found} channel{'s' if found != 1 else ''}, the model expects {len(expected)}: "
            f"{', '.join(expected)}. Give one file with all of them, or one file per channel."
        )
    unusual = unusual_spacing(volume.grid, description.spacing, description.unit)
    return [f"{name}: {unusual}."] if unusual else []
