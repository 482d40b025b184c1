"""What one case holds, gathered while its volumes are in memory."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.case_reading import CaseError
from keras_unet3d.annotation.dataset import Case, Dataset
from keras_unet3d.annotation.labels import unlabeled_among
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.neighbourhoods import LabelledParts
from keras_unet3d.annotation.open_meaning import annotated_slices_option
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.annotation.slices import AnnotatedSlices, few_painted_slices, find_annotated_slices, thin_slabs
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.volume import Grid, Segment, Volume

_COUNTED = "Slices are counted from 0; ITK-SNAP and Fiji show them from 1."


@dataclass(frozen=True, eq=False)
class CaseFacts:
    """What is known of a case that was read.

    Attributes:
        case: its files.
        grid: where its voxels lie, with the dataset's spacing where the files carry none.
        channels: how many its image has.
        voxels_of: label value → voxels that count as labelled with it, or as unlabelled.
        segments: label value → name and colour in the label file.
        open_slices: the slices in which alone something is painted, where the meaning of 0 is open; else None.
        warnings: what looks wrong in it.
    """

    case: Case
    grid: Grid
    channels: int
    voxels_of: dict[int, int]
    segments: dict[int, Segment]
    open_slices: AnnotatedSlices | None
    warnings: tuple[Problem, ...]


def look_at(dataset: Dataset, case: Case, volumes: tuple[Volume, Volume], meaning: Meaning) -> CaseFacts:
    """Gather the facts of a case.

    Args:
        dataset: which it belongs to.
        case: its files.
        volumes: its image and its labels.
        meaning: what the user says about unpainted voxels.

    Raises:
        CaseError: if an annotated slice lies outside the volume.
    """
    image, labels = volumes
    warnings: list[Problem] = []
    channels = int(image.voxels.shape[3])
    first = image.voxels[0, 0, 0]
    constant = tuple(c for c in range(channels) if bool((image.voxels[..., c] == first[c]).all()))
    voxels_of = _voxels_of(labels.voxels)
    slices = meaning.slices_of(case.name)
    open_slices = None
    if slices is not None:
        file = dataset.shown_labels(case)
        _check_slices(dataset, case, slices, labels)
        voxels_of[0] = int(np.count_nonzero(slices.mask(labels.grid.shape) & (labels.voxels == 0)))
        warnings += slices_beside_paint(file, labels.voxels != 0, slices)
    elif meaning.leaves_zero_open(case.name, voxels_of, _unlabeled(dataset, meaning, labels)):
        painted = labels.voxels != 0
        open_slices = few_painted_slices(painted)
        if open_slices is None and (slabs := thin_slabs(painted)) is not None:
            warnings.append(_flat_paint(dataset, case, slabs))
    warnings += [
        Problem(
            dataset.shown(case.images[min(c, len(case.images) - 1)]),
            f"channel {c} is {first[c]:g} everywhere.",
            "Check the export; a constant channel teaches nothing.",
            "warning",
        )
        for c in constant
    ]
    return CaseFacts(
        case=case,
        grid=image.grid,
        channels=channels,
        voxels_of=voxels_of,
        segments=dict(labels.segments),
        open_slices=open_slices,
        warnings=tuple(warnings),
    )


def parts_of(dataset: Dataset, case: Case, volumes: tuple[Volume, Volume], meaning: Meaning) -> LabelledParts | None:
    """The labelled parts of a large case; None where nothing says that some of it has no label, or little has none.

    Raises:
        CaseError: if an annotated slice lies outside the volume.
    """
    _, labels = volumes
    slices, unlabeled = meaning.slices_of(case.name), _unlabeled(dataset, meaning, labels)
    if slices is None and unlabeled is None:
        return None
    _check_slices(dataset, case, slices, labels)
    return LabelledParts.of(labels, unlabeled, slices)


def look_at_parts(dataset: Dataset, case: Case, image: Volume, found: LabelledParts, meaning: Meaning) -> CaseFacts:
    """Gather the facts of a large case from its labelled parts; whether a channel is constant is not looked at."""
    slices, unlabeled = meaning.slices_of(case.name), _unlabeled(dataset, meaning, found.labels)
    counts: Counter[int] = Counter()
    painted: set[tuple[int, int]] = set()
    for part in found.parts:
        counted = part.own
        if slices is not None:
            here = slices.within(part.box)
            counted = counted & (here.mask(part.box.shape) | (part.values != 0))
            painted |= {
                (axis, index + part.box.start[axis])
                for axis, index in here
                if np.moveaxis(part.values != 0, axis, 0)[index].any()
            }
        values, voxels = np.unique(part.values[counted], return_counts=True)
        counts.update(dict(zip(values.tolist(), voxels.tolist(), strict=True)))
    if unlabeled is not None:
        counts[unlabeled] = math.prod(found.labels.grid.shape) - sum(
            count for value, count in counts.items() if value != unlabeled
        )
    empty = AnnotatedSlices() if slices is None else _some(slices, lambda each: each not in painted)
    return CaseFacts(
        case=case,
        grid=image.grid,
        channels=int(image.voxels.shape[3]),
        voxels_of=dict(sorted(counts.items())),
        segments=dict(found.labels.segments),
        open_slices=None,
        warnings=tuple(_nothing_painted(dataset.shown_labels(case), empty)),
    )


def _check_slices(dataset: Dataset, case: Case, slices: AnnotatedSlices | None, labels: Volume) -> None:
    try:
        if slices is not None:
            slices.check(labels.grid.shape)
    except InputError as error:
        raise CaseError(Problem(dataset.shown_labels(case), str(error))) from None


def _some(slices: AnnotatedSlices, wanted: Callable[[tuple[int, int]], bool]) -> AnnotatedSlices:
    z, y, x = (tuple(index for of, index in slices if of == axis and wanted((of, index))) for axis in range(3))
    return AnnotatedSlices(z, y, x)


def _unlabeled(dataset: Dataset, meaning: Meaning, labels: Volume) -> int | None:
    """The value of unlabelled voxels, by the user, the dataset or the label file's own names."""
    if dataset.scheme is not None:
        return meaning.declared(dataset.scheme).unlabeled
    if meaning.unlabeled is not None:
        return meaning.unlabeled
    return unlabeled_among(labels.segments)


def _flat_paint(dataset: Dataset, case: Case, slabs: AnnotatedSlices) -> Problem:
    option = annotated_slices_option(slabs, case.name if len(dataset.cases) > 1 else "")
    return Problem(
        dataset.shown_labels(case),
        f"is painted in {slabs} only, and 0 counts as background everywhere else.",
        f"If these are the slices that you annotated, say so: {option}.",
        "warning",
    )


def _voxels_of(labels: NDArray[Any]) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for plane in labels:
        values, voxels = np.unique(plane, return_counts=True)
        counts.update(dict(zip(values.tolist(), voxels.tolist(), strict=True)))
    return dict(sorted(counts.items()))


def slices_beside_paint(file: str, painted: NDArray[np.bool_], slices: AnnotatedSlices) -> Iterable[Problem]:
    """Warnings where the given slices and the painted ones differ: an index that is off by one ruins everything.

    Args:
        file: that holds the labels.
        painted: ``(z, y, x)``, True where the label is not 0.
        slices: where 0 is said to be background.
    """
    empty = _some(slices, lambda each: not np.moveaxis(painted, each[0], 0)[each[1]].any())
    outside = find_annotated_slices(painted & ~slices.mask(painted.shape)) if painted.any() else AnnotatedSlices()
    yield from _nothing_painted(file, empty)
    if len(outside):
        text = str(outside) if len(outside) <= 12 else f"{len(outside)} slices"
        yield Problem(
            file, f"is painted outside of {slices} too, in {text}; that paint is kept as labels.", _COUNTED, "warning"
        )


def _nothing_painted(file: str, empty: AnnotatedSlices) -> Iterable[Problem]:
    if len(empty):
        yield Problem(file, f"nothing is painted in {empty}, all of it counts as background.", _COUNTED, "warning")
