"""`segment`: read → plan → predict → stitch → write."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet3d.errors import InputError
from keras_unet3d.jobs.annotated_image import read_annotated
from keras_unet3d.jobs.models import DEFAULT_MODEL, Models, PathLike, described_models, load_model, name_of
from keras_unet3d.jobs.sameness import facts_of
from keras_unet3d.jobs.working_image import WorkingImage
from keras_unet3d.serving.client import Client
from keras_unet3d.volumes import Volume, open_image, read_labels, write_image, write_labels
from keras_unet3d.volumes.levels import at_level
from keras_unet3d.volumes.outputs import check_page
from keras_unet3d.volumes.part import part_of
from keras_unet3d.volumes.voxels import as_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from keras_unet3d.annotation import Meaning
    from keras_unet3d.annotation.labels import LabelScheme
    from keras_unet3d.inference.delivery import Delivery
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.planning import Plan
    from keras_unet3d.inference.postprocessing import ClassChange
    from keras_unet3d.inference.segmented import Segmented
    from keras_unet3d.inference.volume_job import Statistics, VolumeJob
    from keras_unet3d.network.work import Precision
    from keras_unet3d.serving.description import ModelDescription
    from keras_unet3d.serving.saved_model import LoadedModel


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A dense segmentation.

    Attributes:
        output: the file that was written, None where nothing was.
        held: the labels where nothing was written; see `labels`.
        shape: voxels of the labels, which are those of the image.
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
    shape: tuple[int, int, int]
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
        resampled: how the image is resampled to the model's working spacing, a sentence; empty where it is not. The
            plan is for the resampled one.
        region: which part of the image is segmented, and what is read for it, a sentence; empty for all of it. The plan
            is for what is read.
    """

    plan: Plan
    precision: Precision
    statistics: Statistics
    done: float
    seconds: float | None
    warnings: tuple[str, ...]
    resampled: str = ""
    region: str = ""


def plan_segmentation(
    image: PathLike | Sequence[PathLike] | Volume,
    *,
    model: Models = DEFAULT_MODEL,
    keep: PathLike | None = None,
    meaning: Meaning | None = None,
    options: SegmentOptions | None = None,
    in_memory: bool = False,
    workers: int | None = None,
) -> SegmentationPlan:
    """Say what `segment` would do from the beginning, without doing it.

    Args:
        image: a file, several files (one per channel), or a volume in memory.
        model: as for `segment`.
        keep: as for `segment`.
        meaning: as for `segment`.
        options: as for `segment`.
        in_memory: whether the results would be returned, not written.
        workers: processes that would share the volume in blocks, as for `segment_in_blocks`; None: it is one's alone.

    Raises:
        InputError: if image, annotation and model do not fit each other, or the memory does not suffice.
    """
    from keras_unet3d.inference.delivery import Delivery

    image = image_at_level(image, options)
    doubtful: tuple[str, ...] = ()
    with ExitStack() as opened:
        if keep is not None:
            image, _, doubtful = read_annotated(image, keep, described_models(model)[0][1].scheme, meaning)
        delivery = Delivery(results_count=in_memory, workers=workers)
        working, job = segmentation_job(image, model, options, opened, delivery)
        warnings = (*doubtful, *working.warnings, *job.warnings)
        said = warnings, working.resampled, working.region
        return SegmentationPlan(job.plan, job.precision, job.statistics, 0.0, job.seconds, *said)


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
    the size of the volume. Without `output` the labels are kept in memory. Where the model has a working spacing, an
    image of another one is resampled to it, into a file for the time of the work, and the labels back.

    Args:
        image: a file, several files (one per channel), or a volume in memory.
        output: where the label map is written; its suffix is its format. None writes nothing.
        model: a folder, with or without the version, or a loaded model; the networks of several are averaged. Or a
            `keras_unet3d.serving.Client`, whose servers compute: TensorFlow is not imported then.
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
    from keras_unet3d.inference.delivery import Delivery
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.unfinished import Unfinished

    options = options or SegmentOptions()
    if output is None and (options.resume or options.uncertainty or isinstance(options.probabilities, str | Path)):
        raise InputError("Probabilities, uncertainty and what can be resumed are written beside an output: name one.")
    if options.report is not None:
        check_page(options.report)  # not after the work
    image = image_at_level(image, options)
    models = described_models(model)
    scheme = models[0][1].scheme
    facts = facts_of(image, models, options, keep, meaning) if output is not None else {}
    kept: NDArray[np.int16] | None = None
    doubtful: tuple[str, ...] = ()
    if keep is not None:
        image, kept, doubtful = read_annotated(image, keep, scheme, meaning)
        kept = kept[options.region.box(image.grid.shape, image.source).slices] if options.region else kept
    with ExitStack() as opened:
        unfinished = None
        if output is not None:
            unfinished = opened.enter_context(Unfinished(Path(output), facts, resume=options.resume))
        delivery = Delivery(unfinished, results_count=output is None)
        working, job = segmentation_job(image, model, options, opened, delivery)
        volume, warnings = working.image, (*doubtful, *working.warnings, *job.warnings)
        if on_plan is not None:
            said = warnings, working.resampled, working.region
            on_plan(SegmentationPlan(job.plan, job.precision, job.statistics, job.done, None, *said))
        segmented = job.run(kept, progress or (lambda _: None))
        labels = replace(volume, voxels=as_array(segmented.labels), segments=scheme.segments, channels=())
        chances = _probabilities(volume, segmented, scheme)
        _write_beside(options, volume, segmented, chances)
        if output is not None:
            write_labels(output, labels)
        _write_report(options, volume, segmented, models, kept, warnings)
        returned = chances if options.probabilities is True else None
        return Segmentation(
            output=Path(output) if output is not None else None,
            held=replace(labels, voxels=labels.voxels[:, :, :]) if output is None else None,
            shape=volume.grid.shape,
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


def _probabilities(image: Volume, segmented: Segmented, scheme: LabelScheme) -> Volume | None:
    """Of each class, where they were computed."""
    if segmented.probabilities is None:
        return None
    return replace(image, voxels=as_array(segmented.probabilities), channels=scheme.names)


def _write_beside(options: SegmentOptions, image: Volume, segmented: Segmented, probabilities: Volume | None) -> None:
    """Write what is wanted beside the labels."""
    if probabilities is not None and isinstance(options.probabilities, str | Path):
        write_image(options.probabilities, probabilities)
    if segmented.uncertainty is not None and options.uncertainty is not None:
        voxels = as_array(segmented.uncertainty)
        write_image(options.uncertainty, replace(image, voxels=voxels, channels=("uncertainty",)))


def image_at_level(image: Any, options: SegmentOptions | None) -> Any:
    """The image that is meant: the level that is asked for, by its path."""
    if options is None or options.level is None:
        return image
    if isinstance(image, Volume):
        raise InputError("A volume in memory has one resolution. Leave out the level, or name the file of an OME-Zarr.")
    if isinstance(image, str | Path):
        return at_level(image, options.level)
    return [at_level(file, options.level) for file in image]


def _write_report(
    options: SegmentOptions,
    image: Volume,
    segmented: Segmented,
    models: Sequence[tuple[PathLike | LoadedModel, ModelDescription]],
    *said: Any,
) -> None:
    """Write the page, if it is wanted."""
    if options.report is not None:
        from keras_unet3d.jobs.segmentation_report import write_segmentation_report

        named = [(name_of(each), description) for each, description in models]
        write_segmentation_report(options.report, image, segmented, named, *said)


def segmentation_job(
    image: Any,
    model: Models,
    options: SegmentOptions | None,
    opened: ExitStack,
    delivery: Delivery,
) -> tuple[WorkingImage, VolumeJob]:
    """Open the image, or the region of it, load the models, and plan.

    Args:
        image: as for `segment`.
        model: as for `segment`.
        options: as for `segment`.
        opened: closes what is opened here.
        delivery: where results go; grid and excerpt are found here.
    """
    from keras_unet3d.inference.excerpt import Excerpt
    from keras_unet3d.inference.options import SegmentOptions

    models = described_models(model)
    if not isinstance(image, Volume):
        image = opened.enter_context(open_image(image, scratch=delivery.kept.folder if delivery.kept else None))
    working = WorkingImage.of(image, [description for _, description in models])
    excerpt = None
    if options is not None and options.region is not None:
        box = options.region.box(image.grid.shape, image.source or "the image")
        excerpt = Excerpt.of(image, working.volume, box, models[0][1].geometry.geometry)
        working = replace(working, image=part_of(image, box), volume=excerpt.volume, region=excerpt.sentence)
    delivery = replace(delivery, grid=working.image.grid, excerpt=excerpt)
    job = _job_of(working.volume, models, options or SegmentOptions(), delivery)
    if excerpt is not None:
        _check_statistics(job)
    return working, job


def _check_statistics(job: VolumeJob) -> None:
    """A region is as it would be in the whole: statistics of the whole are not known, and those of tiles are others.

    Raises:
        InputError: if the networks normalise by the statistics of the volume.
    """
    if job.statistics == "volume":
        raise InputError(
            "This model normalises by the statistics of the whole volume, which are not gathered for a region. Leave "
            "out --region, or ask for the statistics of each tile: --statistics current."
        )
    if job.statistics == "current":
        job.warnings.append(
            "This model normalises by the statistics of each tile: labels of a region can differ from those that the "
            "whole volume gives there."
        )


def _job_of(
    volume: Volume, models: Sequence[tuple[Any, ModelDescription]], options: SegmentOptions, delivery: Delivery
) -> VolumeJob:
    """Load the models, and plan."""
    if any(isinstance(each, Client) for each, _ in models):
        return _served_job(volume, models, options, delivery)

    from keras_unet3d.inference.job import Member, SegmentationJob

    members = []
    for source, description in models:
        loaded = load_model(source) if isinstance(source, str | Path) else source
        members += [
            Member(
                str(loaded.path),
                network,
                loaded.size,
                description.bfloat16_agrees,
                description.mirrored_axes,
                description.intensities,
            )
            for network in loaded.networks
        ]
    return SegmentationJob(volume, members, options, models[0][1].scheme, delivery)


def _served_job(
    volume: Volume, models: Sequence[tuple[Any, ModelDescription]], options: SegmentOptions, delivery: Delivery
) -> VolumeJob:
    """Plan with a model on servers."""
    from keras_unet3d.serving.served_job import ServedJob

    if len(models) > 1:
        raise InputError("Expected one served model, or any number of others. Export several as one to serve them.")
    (client, _), *_ = models
    return ServedJob(volume, client, options, delivery)
