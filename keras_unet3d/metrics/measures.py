"""What is measured of a class, and what it is called."""

import math
from dataclasses import dataclass

from keras_unet3d.wording import rounded


@dataclass(frozen=True)
class Measure:
    """One number for how well a class agrees.

    Attributes:
        key: of the attribute that holds it, and in JSON.
        title: in tables.
        best: what a perfect prediction has.
        length: whether it is a length, in the unit of the grid.
    """

    key: str
    title: str
    best: float
    length: bool = False

    @property
    def of_surfaces(self) -> bool:
        """Whether it needs the borders of the classes, and so dense labels."""
        return self in SURFACE_MEASURES

    def text(self, score: float) -> str:
        """A score as this is written, ∞ where it is infinite, a dash where there is none."""
        if math.isinf(score):
            return "∞"
        if math.isnan(score):
            return "–"
        if self.length:
            return rounded(score)
        return f"{score:+.1%}" if self is VOLUME_DIFFERENCE else f"{score:.3f}"

    def titled(self, unit: str) -> str:
        """The title with the unit of a length."""
        return f"{self.title} ({unit})" if self.length else self.title


IOU = Measure("iou", "IoU", best=1)
DICE = Measure("dice", "Dice", best=1)
PRECISION = Measure("precision", "precision", best=1)
RECALL = Measure("recall", "recall", best=1)
VOLUME_DIFFERENCE = Measure("volume_difference", "volume difference", best=0)
HAUSDORFF = Measure("hausdorff", "HD", best=0, length=True)
HAUSDORFF_95 = Measure("hausdorff_95", "HD95", best=0, length=True)
ASSD = Measure("assd", "ASSD", best=0, length=True)
SURFACE_DICE = Measure("surface_dice", "surface Dice", best=1)

OVERLAP_MEASURES = (IOU, DICE, PRECISION, RECALL, VOLUME_DIFFERENCE)
"""Those that count voxels; see `Overlap`."""
SURFACE_MEASURES = (HAUSDORFF, HAUSDORFF_95, ASSD, SURFACE_DICE)
"""Those that measure from border to border; see `SurfaceDistances`."""
