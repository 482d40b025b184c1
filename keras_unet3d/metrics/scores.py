"""Scores by the names of the classes, for tables and for machines."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.metrics.measures import DICE, IOU, OVERLAP_MEASURES, SURFACE_DICE, SURFACE_MEASURES, Measure
from keras_unet3d.metrics.overlap import Overlap, mean_of_present
from keras_unet3d.metrics.ruler import Ruler
from keras_unet3d.metrics.surface import Surfaces


@dataclass(frozen=True)
class ClassScore:
    """How well one class agrees.

    What is measured is not a number where neither truth nor prediction has the class: there is nothing to compare.
    Where only one of the two has it, shares are 0 and distances infinite: see `Overlap` and `SurfaceDistances`.

    Attributes:
        name: of the class.
        value: its label value, as annotated.
        voxels: labelled voxels of the class in the truth.
        predicted_voxels: labelled voxels that were predicted as the class.
        iou: 0–1.
        dice: 0–1.
        precision: 0–1.
        recall: 0–1.
        volume_difference: of the predicted volume to the true one, as a share of the true one.
        hausdorff: in the unit of the ruler; not a number where surfaces were not measured, or this is the background.
        hausdorff_95: likewise.
        assd: likewise.
        surface_dice: 0–1, likewise.
    """

    name: str
    value: int
    voxels: int
    predicted_voxels: int
    iou: float
    dice: float
    precision: float
    recall: float
    volume_difference: float
    hausdorff: float = math.nan
    hausdorff_95: float = math.nan
    assd: float = math.nan
    surface_dice: float = math.nan

    @property
    def one_sided(self) -> bool:
        """Whether only one of truth and prediction has the class: it was missed, or invented."""
        return (self.voxels == 0) != (self.predicted_voxels == 0)

    def of(self, measure: Measure) -> float:
        """One of its numbers."""
        return float(getattr(self, measure.key))


@dataclass(frozen=True)
class Scores:
    """How well a prediction agrees with a truth.

    Attributes:
        classes: one row per class, in class order.
        voxels: labelled voxels that were compared.
        ruler: that distances were measured with; None where they were not.
        not_measured: why distances were not measured though they were asked for; else empty.
    """

    classes: tuple[ClassScore, ...]
    voxels: int
    ruler: Ruler | None = None
    not_measured: str = ""

    @classmethod
    def of(
        cls, overlap: Overlap, scheme: LabelScheme, surfaces: Surfaces | None = None, not_measured: str = ""
    ) -> "Scores":
        """Name the scores of an overlap, and of surfaces where they were measured."""
        columns = [getattr(overlap, measure.key) for measure in OVERLAP_MEASURES]
        rows = []
        for index, (name, value) in enumerate(zip(scheme.names, scheme.values, strict=True)):
            voxels, predicted = int(overlap.matrix[index].sum()), int(overlap.matrix[:, index].sum())
            shares = (float(column[index]) for column in columns)
            rows.append(ClassScore(name, value, voxels, predicted, *shares, **_of_surface(surfaces, index)))
        return cls(tuple(rows), overlap.voxels, surfaces.ruler if surfaces else None, not_measured)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Those that were asked for."""
        asked = self.ruler is not None or self.not_measured
        return OVERLAP_MEASURES + (SURFACE_MEASURES if asked else ())

    def mean(self, measure: Measure) -> float:
        """Over the classes that occur, and for surfaces all of these but the background.

        Infinite where one of them is.
        """
        return mean_of_present([score.of(measure) for score in self.classes])

    @property
    def mean_iou(self) -> float:
        """Over the classes that occur."""
        return self.mean(IOU)

    @property
    def mean_dice(self) -> float:
        """Over the classes that occur."""
        return self.mean(DICE)

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where a score is not a number or infinite, which JSON does not have."""
        return {
            "classes": [
                {
                    "name": score.name,
                    "value": score.value,
                    "voxels": score.voxels,
                    "predicted_voxels": score.predicted_voxels,
                    **{measure.key: finite(score.of(measure)) for measure in self.measures},
                }
                for score in self.classes
            ],
            "mean": {measure.key: finite(self.mean(measure)) for measure in self.measures},
            "voxels": self.voxels,
            **surfaces_as_json([self]),
        }


def _of_surface(surfaces: Surfaces | None, index: int) -> dict[str, float]:
    """The numbers of a class that need its border; none where it was not measured."""
    distances = surfaces.distances[index] if surfaces else None
    if surfaces is None or distances is None:
        return {}
    lengths = {measure.key: float(getattr(distances, measure.key)) for measure in SURFACE_MEASURES if measure.length}
    return lengths | {SURFACE_DICE.key: distances.surface_dice(surfaces.ruler.tolerance)}


def surfaces_as_json(cases: Iterable[Scores]) -> dict[str, Any]:
    """How the surfaces of some cases were measured, or why not; nothing where nobody asked."""
    cases = list(cases)
    rulers = [scores.ruler for scores in cases if scores.ruler]
    reasons = sorted({scores.not_measured for scores in cases if scores.not_measured})
    if not rulers and not reasons:
        return {}
    tolerances = sorted({ruler.tolerance for ruler in rulers})
    return {
        "surfaces": {
            "unit": rulers[0].unit if rulers else None,
            "tolerance": tolerances[0] if len(tolerances) == 1 else tolerances or None,
            "not_measured": reasons[0] if reasons else None,
        }
    }


def finite(score: float) -> float | None:
    """The score, or None where it is no finite number."""
    return score if math.isfinite(score) else None
