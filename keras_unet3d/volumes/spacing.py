"""A distance between voxels with its unit, as people write it and settings keep it."""

import math
import re
from dataclasses import dataclass

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named, parse_named
from keras_unet3d.volumes.units import IN_MM, read_unit

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
