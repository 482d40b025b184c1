"""Voxels and where they lie in space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.units import IN_MM

Vector = tuple[float, float, float]
_PLANES = ("sagittal", "coronal", "axial")  # orthogonal to left, posterior and superior
IDENTITY: tuple[Vector, Vector, Vector] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie in space, in the conventions of ITK (physical axes: left, posterior, superior).

    Attributes:
        shape: voxels along z, y, x.
        spacing: distance between voxel centres along z, y, x, in `unit`.
        origin: physical (x, y, z) of the first voxel's centre, in `unit`.
        direction: 3×3; column j is the unit vector in which index x, y, z (j = 0, 1, 2) runs. Not orthogonal where a
            NIfTI sform shears.
        unit: ``"mm"``, ``"µm"`` or another of `units.IN_MM`, or ``""`` where the file does not say.
        placed: whether the file says where the volume lies; else `origin` and `direction` are made up (a plain TIFF
            has neither, and a NIfTI without sform and qform is put at a place of its own by every software).
    """

    shape: tuple[int, int, int]
    spacing: Vector = (1.0, 1.0, 1.0)
    origin: Vector = (0.0, 0.0, 0.0)
    direction: tuple[Vector, Vector, Vector] = IDENTITY
    unit: str = ""
    placed: bool = field(default=True, compare=False)

    @property
    def affine(self) -> NDArray[np.float64]:
        """4×4 matrix from voxel index (x, y, z, 1) to physical position (x, y, z, 1)."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing[::-1])
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def planes(self) -> tuple[str, str, str]:
        """What slices orthogonal to z, y and x are called in a patient: axial, coronal and sagittal in some order.

        Each is named by the physical axis that its normal is nearest to, as 3D Slicer and ITK-SNAP name their views;
        empty where the file does not say where the volume lies.
        """
        if not self.placed:
            return "", "", ""
        along = np.abs(self.direction)  # of physical axes (rows) and x, y, z (columns)
        x, y, z = max(permutations(range(3)), key=lambda rows: float(sum(along[row, j] for j, row in enumerate(rows))))
        return _PLANES[z], _PLANES[y], _PLANES[x]

    @classmethod
    def from_affine(cls, shape: tuple[int, int, int], affine: NDArray[Any], unit: str = "") -> "Grid":
        """The grid of a 4×4 matrix from voxel index (x, y, z, 1) to physical position: the inverse of `affine`.

        Raises:
            ValueError: if the matrix puts different voxels at one place, or holds what is not a number.
        """
        matrix = np.asarray(affine, dtype=np.float64) + 0.0  # -0.0 becomes 0.0
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or not (lengths > 0).all():
            raise ValueError(f"Expected an affine of finite numbers without empty columns. Received: {matrix.tolist()}")
        directions = matrix[:3, :3] / lengths
        if abs(np.linalg.det(directions)) < 1e-6:
            raise ValueError(f"Expected an affine whose columns span space. Received: {matrix.tolist()}")
        x, y, z = (_vector(row) for row in directions)
        return cls(shape, _vector(lengths[::-1]), _vector(matrix[:3, 3]), (x, y, z), unit)

    def in_unit(self, unit: str) -> "Grid":
        """The same places, measured in another unit; unchanged where either unit is unknown."""
        if unit == self.unit or not unit or not self.unit:
            return self
        scale = IN_MM[self.unit] / IN_MM[unit]
        z, y, x = (value * scale for value in self.spacing)
        a, b, c = (value * scale for value in self.origin)
        return replace(self, spacing=(z, y, x), origin=(a, b, c), unit=unit)

    def matches(self, other: "Grid", tolerance: float = 0.01) -> bool:
        """Whether both grids put every voxel at the same place, to `tolerance` of the smallest voxel edge."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*([0, size - 1] for size in self.shape[::-1]), [1])).reshape(4, -1)
        there = other.in_unit(self.unit).affine[:3] @ corners
        return bool(np.abs(self.affine[:3] @ corners - there).max() <= tolerance * min(self.spacing))

    def part(self, start: Sequence[int], shape: tuple[int, int, int]) -> "Grid":
        """The grid of the voxels from `start` (z, y, x) on, so many of them."""
        z, y, x = start
        a, b, c, _ = (float(value) for value in self.affine @ [x, y, z, 1])
        return replace(self, shape=shape, origin=(a, b, c))

    @property
    def carries_no_space(self) -> bool:
        """Whether nothing is said about spacing, unit and place, as in a plain TIFF."""
        return self == Grid(self.shape)

    def agrees(self, other: "Grid", tolerance: float = 0.01) -> bool:
        """Whether both grids can be of the same voxels, by what their files say: shape, spacing and place.

        What one of them leaves out is not compared: an annotation that was saved as TIFF has no place. Lengths without
        a unit are in that of the other grid or in mm: 3D Slicer reads an image in µm and saves its NRRD so. Voxels of
        1 mm at the origin are what ITK-SNAP makes of a TIFF, whose spacing it does not read.
        """
        if self.carries_no_space or other.carries_no_space:
            return self.shape == other.shape
        mine, theirs = self, other
        if not (self.placed and other.placed):
            if any(replace(grid, unit="").carries_no_space for grid in (self, other)):
                return self.shape == other.shape
            mine, theirs = (replace(grid, origin=(0.0, 0.0, 0.0), direction=IDENTITY) for grid in (self, other))
        mine_in_mm, theirs_in_mm = (replace(grid, unit=grid.unit or "mm") for grid in (mine, theirs))
        return mine.matches(theirs, tolerance) or mine_in_mm.matches(theirs_in_mm, tolerance)

    def __str__(self) -> str:
        text = f"{named(self.shape)}, spacing {named(self.spacing, self.unit)}"
        x, y, z = self.origin
        if any(self.origin):
            text += f", origin x={x:.6g} y={y:.6g} z={z:.6g}"
        if self.direction != IDENTITY:
            rows = "; ".join(" ".join(f"{value:.4g}" for value in row) for row in self.direction)
            text += f", direction [{rows}]"
        return text


def _vector(values: NDArray[np.float64]) -> Vector:
    first, second, third = values.tolist()
    return first, second, third


@dataclass(frozen=True)
class Segment:
    """What a label value means: its name and, where the file has one, its colour (red, green, blue, 0–255)."""

    name: str
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Volume:
    """An image or a label map on its grid.

    Attributes:
        voxels: float32 ``(z, y, x, channel)`` for an image, integers ``(z, y, x)`` for labels. An array; or `Voxels` in
            a file, of which parts are read, where `open_image` gave the volume.
        grid: where the voxels lie in space.
        channels: a name per channel, empty where the file has none.
        segments: label value → name and colour, empty where the file has none.
        header: the header of the format that was read, so that the same format can write it back unchanged.
        source: the file that was read.
    """

    voxels: NDArray[Any]
    grid: Grid
    channels: tuple[str, ...] = ()
    segments: Mapping[int, Segment] = field(default_factory=dict)
    header: Any = None
    source: Path | None = None

    def with_voxels(self, voxels: NDArray[Any], segments: Mapping[int, Segment] | None = None) -> "Volume":
        """Other voxels on the same grid, with the same header: a label map for an image, say."""
        if voxels.shape[:3] != self.grid.shape:
            raise ValueError(f"Expected voxels of {named(self.grid.shape)}. Received: {named(voxels.shape[:3])}")
        return replace(self, voxels=voxels, segments=segments or {}, channels=())
