"""What `fit` will do, decided from data, machine and time before it does anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from keras_unet3d.annotation import (
    AnnotatedDataset,
    Dataset,
    LabelScheme,
    Meaning,
    TrainingSummary,
    class_weights,
    given_class_weights,
    load_cases,
    read_dataset,
    summarize,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.plan import Decision
    from keras_unet3d.training.resolved import ResolvedSettings
    from keras_unet3d.training.settings import Settings


@dataclass(frozen=True, eq=False)
class FitPlan:
    """What `fit` will do, before it does anything.

    Attributes:
        dataset: read and checked.
        summary: what will be trained on.
        settings: in which nothing is left to decide.
        decisions: what was decided from data and machine, and why.
    """

    dataset: AnnotatedDataset
    summary: TrainingSummary
    settings: ResolvedSettings
    decisions: tuple[Decision, ...]


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
    from keras_unet3d.training.held_out import held_out_decision
    from keras_unet3d.training.known import resolve_start
    from keras_unet3d.training.plan import resolve
    from keras_unet3d.training.runtime import prepare_runtime
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.start import with_network_of_start
    from keras_unet3d.training.windows import hounsfield_hints, resolve_windows
    from keras_unet3d.training.working_spacing import labels_of, resolve_spacing
    from keras_unet3d.volumes.spacing import median_spacing

    settings, chosen = resolve_spacing(with_network_of_start(settings or Settings()), read.cases)
    working = settings.resampled_to
    spacing = working.edges if working else median_spacing([case.image.grid for case in read])[0]
    machine = prepare_runtime(settings.devices)
    resolved, decisions = resolve(settings, [labels_of(case, working) for case in read], spacing, **machine._asdict())
    resolved, windows = resolve_windows(resolved, read)
    loss_weights(resolved, read.scheme, [1] * read.scheme.classes)  # wrong names are found before work starts
    held_out = held_out_decision(read.cases, resolved.hold_out, working)
    begun, doubtful = resolve_start(resolved, read)
    read = replace(read, warnings=(*read.warnings, *doubtful, *hounsfield_hints(resolved, read)))
    return FitPlan(read, summarize(read), resolved, (*begun, *chosen, *decisions, *windows, *held_out))


def loss_weights(settings: ResolvedSettings, scheme: LabelScheme, counts: Any) -> Sequence[float]:
    """Of each class in the loss.

    Args:
        settings: of the training.
        scheme: the classes.
        counts: labelled voxels of each.

    Raises:
        InputError: if weights are given for other classes.
    """
    match settings.loss.class_weights:
        case "balanced":
            return [float(weight) for weight in class_weights(counts)]
        case "equal":
            return [1.0] * scheme.classes
        case named_weights:
            return [float(weight) for weight in given_class_weights(named_weights, scheme)]
