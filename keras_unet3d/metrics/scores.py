"""Scores by the names of the classes, for tables and for machines."""

import math
from dataclasses import dataclass
from typing import Any

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.metrics.overlap import Overlap


@dataclass(frozen=True)
class ClassScore:
    """How well one class agrees.

    Attributes:
        name: of the class.
        value: its label value, as annotated.
        voxels: labelled voxels of the class in the truth.
        iou: 0–1, not a number where neither truth nor prediction has the class.
        dice: likewise.
    """

    name: str
    value: int
    voxels: int
    iou: float
    dice: float


@dataclass(frozen=True)
class Scores:
    """How well a prediction agrees with a truth.

    Attributes:
        classes: one row per class, in class order.
        mean_iou: over the classes that occur.
        mean_dice: over the classes that occur.
        voxels: labelled voxels that were compared.
    """

    classes: tuple[ClassScore, ...]
    mean_iou: float
    mean_dice: float
    voxels: int

    @classmethod
    def of(cls, overlap: Overlap, scheme: LabelScheme) -> "Scores":
        """Name the scores of an overlap."""
        columns = (scheme.names, scheme.values, overlap.matrix.sum(axis=1), overlap.iou, overlap.dice)
        rows = (
            ClassScore(name, value, int(voxels), float(iou), float(dice))
            for name, value, voxels, iou, dice in zip(*columns, strict=True)
        )
        return cls(tuple(rows), overlap.mean_iou, overlap.mean_dice, overlap.voxels)

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where a score is not a number, which JSON does not have."""
        return {
            "classes": [
                {
                    "name": score.name,
                    "value": score.value,
                    "voxels": score.voxels,
                    "iou": _number(score.iou),
                    "dice": _number(score.dice),
                }
                for score in self.classes
            ],
            "mean": {"iou": _number(self.mean_iou), "dice": _number(self.mean_dice)},
            "voxels": self.voxels,
        }


def _number(score: float) -> float | None:
    return None if math.isnan(score) else score
