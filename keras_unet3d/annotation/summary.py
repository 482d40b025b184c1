"""What will be trained on, in numbers: the fingerprint of a dataset, for people, for the plan and for machines."""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from keras_unet3d.annotation.cases import AnnotatedCase, AnnotatedDataset
from keras_unet3d.annotation.labelled import labelled_positions
from keras_unet3d.annotation.weights import class_counts
from keras_unet3d.volumes.axes import AXES

SEEN_VOXELS = 20_000
"""Of a class in a case whose intensities are looked at, evenly spread: enough for a mean."""


@dataclass(frozen=True)
class ClassIntensity:
    """How bright a class is in one channel, measured from the mean of its volume in the volume's standard deviations.

    Attributes:
        mean: over labelled voxels of all cases.
        deviation: their standard deviation.
    """

    mean: float
    deviation: float


@dataclass(frozen=True)
class CaseSummary:
    """One row: a case.

    Attributes:
        name: what the case is called.
        shape: voxels along z, y, x.
        spacing: along z, y, x.
        unit: of the spacing, empty where it is not known.
        slices: annotated slices orthogonal to z, y and x.
        dense: whether every voxel is labelled.
        labelled: labelled voxels.
        share: of the voxels that are labelled, 0–1.
        voxels: labelled voxels of each class, by name.
        volume: of each class in the unit's third power, by name; empty unless the labels are dense.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    unit: str
    slices: dict[str, int]
    dense: bool
    labelled: int
    share: float
    voxels: dict[str, int]
    volume: dict[str, float]


@dataclass(frozen=True)
class TrainingSummary:
    """What a model will be trained on.

    Attributes:
        rows: one per case.
        voxels: labelled voxels of each class in all cases, by name.
        share: of the labelled voxels that each class has, by name, 0–1.
        slices: annotated slices in all cases that are not dense.
        channels: the names of the channels.
        intensities: of each class, by name, in each channel; empty for a class without labels.
    """

    rows: tuple[CaseSummary, ...]
    voxels: dict[str, int]
    share: dict[str, float]
    slices: int
    channels: tuple[str, ...]
    intensities: dict[str, tuple[ClassIntensity, ...]]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; sizes by the name of their axis."""
        plain = asdict(self)
        for row in plain["rows"]:
            for key in ("shape", "spacing"):
                row[key] = dict(zip(AXES, row[key], strict=True))
        return plain


def summarize(dataset: AnnotatedDataset) -> TrainingSummary:
    """Count labelled voxels and annotated slices, by class and case, and see how bright each class is."""
    names = dataset.scheme.names
    rows = tuple(_summarize_case(case, names) for case in dataset.cases)
    voxels = {name: sum(row.voxels[name] for row in rows) for name in names}
    labelled = max(1, sum(voxels.values()))
    return TrainingSummary(
        rows,
        voxels,
        {name: count / labelled for name, count in voxels.items()},
        sum(sum(row.slices.values()) for row in rows if not row.dense),
        dataset.channel_names,
        _intensities(dataset),
    )


def _summarize_case(case: AnnotatedCase, names: tuple[str, ...]) -> CaseSummary:
    counts = class_counts(case.class_index, len(names)).tolist()
    per_axis = case.annotated_slices.per_axis
    dense = sum(counts) == case.class_index.size
    voxel = prod(case.image.grid.spacing)
    return CaseSummary(
        name=case.name,
        shape=case.image.grid.shape,
        spacing=case.image.grid.spacing,
        unit=case.image.grid.unit,
        slices={axis: len(indices) for axis, indices in zip(AXES, per_axis, strict=True)},
        dense=dense,
        labelled=sum(counts),
        share=sum(counts) / case.class_index.size,
        voxels=dict(zip(names, counts, strict=True)),
        volume={name: count * voxel for name, count in zip(names, counts, strict=True)} if dense else {},
    )


def _intensities(dataset: AnnotatedDataset) -> dict[str, tuple[ClassIntensity, ...]]:
    """Of the classes, each case counting by its labelled voxels that are looked at."""
    seen: list[list[Any]] = [[] for _ in dataset.scheme.names]
    for case in dataset:
        image = case.image.voxels[:, :, :]
        offset, scale = case.intensity().T
        for index, places in labelled_positions(case.class_index, SEEN_VOXELS).items():
            seen[index].append((image.reshape(-1, image.shape[-1])[places] - offset) / scale)
    found: dict[str, tuple[ClassIntensity, ...]] = {}
    for name, parts in zip(dataset.scheme.names, seen, strict=True):
        channels = np.concatenate(parts).T if parts else ()
        found[name] = tuple(ClassIntensity(float(each.mean()), float(each.std())) for each in channels)
    return found
