"""What will be trained on, in numbers: for the terminal, for ``--dry-run`` and for machines."""

from dataclasses import asdict, dataclass
from typing import Any

from keras_unet3d.annotation.cases import AnnotatedCase, AnnotatedDataset
from keras_unet3d.annotation.weights import class_counts
from keras_unet3d.volumes.axes import AXES


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


@dataclass(frozen=True)
class TrainingSummary:
    """What a model will be trained on.

    Attributes:
        rows: one per case.
        voxels: labelled voxels of each class in all cases, by name.
        share: of the labelled voxels that each class has, by name, 0–1.
        slices: annotated slices in all cases that are not dense.
        channels: the names of the channels.
    """

    rows: tuple[CaseSummary, ...]
    voxels: dict[str, int]
    share: dict[str, float]
    slices: int
    channels: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; sizes by the name of their axis."""
        plain = asdict(self)
        for row in plain["rows"]:
            for key in ("shape", "spacing"):
                row[key] = dict(zip(AXES, row[key], strict=True))
        return plain


def summarize(dataset: AnnotatedDataset) -> TrainingSummary:
    """Count labelled voxels and annotated slices, by class and case."""
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
    )


def _summarize_case(case: AnnotatedCase, names: tuple[str, ...]) -> CaseSummary:
    counts = class_counts(case.class_index, len(names)).tolist()
    per_axis = case.annotated_slices.per_axis
    return CaseSummary(
        name=case.name,
        shape=case.image.grid.shape,
        spacing=case.image.grid.spacing,
        unit=case.image.grid.unit,
        slices={axis: len(indices) for axis, indices in zip(AXES, per_axis, strict=True)},
        dense=sum(counts) == case.class_index.size,
        labelled=sum(counts),
        share=sum(counts) / case.class_index.size,
        voxels=dict(zip(names, counts, strict=True)),
    )
