"""A distance between voxels with its unit, as people write it and settings keep it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES, named, parse_named
from keras_unet3d.volumes.units import IN_MM, read_unit
from keras_unet3d.volumes.volume import Grid

SAME = 1.01
"""Spacings that differ by no more than this factor are the same: headers round."""

Edges = tuple[float, float, float]


@dataclass(frozen=True)
class Spacing:
    """Distances between voxel centres.

    Attributes:
        edges: along z, y, x, in `unit`.
        unit: one of `units.IN_MM`, or ``""`` for that of whatever it is compared with.
    """

    edges: Edges
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> "Spacing":
        """Read ``"x=1 y=1 z=2.5 mm"``; the unit may be left out.

        Raises:
            InputError: for anything else.
        """
        edges = parse_named(text)
        unit, factor = "", 1.0
        if behind := re.sub(r"[A-Za-z]+\s*=\s*[^\s,=]+[\s,]*", "", text).strip():
            unit, factor = read_unit(behind)
        if (behind and not unit) or not all(math.isfinite(edge) and edge > 0 for edge in edges):
            raise InputError(
                f"Expected a spacing above 0 for each axis, and its unit, such as 'x=1 y=1 z=2.5 mm'. Received: "
                f"{text!r}"
            )
        z, y, x = (edge * factor for edge in edges)
        return cls((z, y, x), unit)

    def __str__(self) -> str:
        return named(self.edges, self.unit)

    def in_unit(self, unit: str) -> Edges:
        """The same distances in another unit; unchanged where either unit is unknown."""
        known = unit in IN_MM and self.unit in IN_MM
        scale = IN_MM[self.unit] / IN_MM[unit] if known else 1.0
        z, y, x = (edge * scale for edge in self.edges)
        return z, y, x

    def is_same(self, other: "Spacing", factor: float = SAME) -> bool:
        """Whether no axis differs by more than `factor`; a unit that is unknown is that of the other."""
        pairs = zip(self.edges, other.in_unit(self.unit), strict=True)
        return all(1 / factor <= mine / theirs <= factor for mine, theirs in pairs)


def median_spacing(grids: Sequence[Grid]) -> tuple[Edges, str]:
    """The median spacing along each of z, y, x, in the unit of the first grid, and that unit."""
    unit = grids[0].unit
    z, y, x = (float(value) for value in np.median([grid.in_unit(unit).spacing for grid in grids], axis=0))
    return (z, y, x), unit


def unusual_spacing(grid: Grid, trained: Sequence[float] | None, unit: str, factor: float = 1.5) -> str | None:
    """A sentence where voxels differ from those trained on by more than `factor` along an axis; None where not.

    A plain TIFF says nothing about its voxels, and nothing is said about it.

    Spacings in different units, or in none, can only be compared by the ratio of their axes.

    Args:
        grid: of the image.
        trained: the spacing that was trained on, along z, y, x; None where unknown.
        unit: of `trained`.
        factor: what is still usual.
    """
    if trained is None or grid.carries_no_space:
        return None
    here = np.asarray(grid.spacing) * IN_MM.get(grid.unit, 1.0)
    there = np.asarray(trained) * IN_MM.get(unit, 1.0)
    if not (grid.unit and unit):
        here, there = here / here.min(), there / there.min()
    ratios = np.maximum(here / there, there / here)
    if ratios.max() <= factor:
        return None
    return (
        f"voxels of {named(grid.spacing, grid.unit)} differ from those trained on, {named(trained, unit)}, "
        f"{ratios.max():.1f} times along {AXES[int(ratios.argmax())]}. Resample the image, or expect worse results"
    )
