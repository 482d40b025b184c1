"""Where each voxel of an augmented tile comes from: deformation, rotation, scaling and mirroring in one map."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.augmentation.spline import bounding_points, interpolation_matrix
from keras_unet3d.volumes.box import Box, Triple


@dataclass(frozen=True, eq=False)
class CoordinateMap:
    """The voxel x of the tile is read at ``matrix @ (x − c) + c + d(x)`` of the volume, c being the tile's centre.

    d is the interpolating cubic B-spline through `displacement` (mirrored at the ends of the grid): the deformation of
    Çiçek et al. 2016, section 3.2, with the conventions of elasticdeform. All coordinates are voxels of the volume in
    the order z, y, x; voxel centres are whole numbers.

    Attributes:
        tile: what is produced; may lie partly outside the volume.
        matrix: 3×3, from an offset to the tile's centre to the offset of its source.
        displacement: ``(3, kz, ky, kx)``, the displacement along z, y and x at each control point, voxels.
        grid_origin: the first control point.
        grid_spacing: voxels from one control point to the next.
    """

    tile: Box
    matrix: NDArray[np.float64]
    displacement: NDArray[np.float64]
    grid_origin: Triple
    grid_spacing: int = 32

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3):
            raise ValueError(f"Expected a 3×3 matrix. Received: shape {self.matrix.shape}")
        if self.displacement.ndim != 4 or self.displacement.shape[0] != 3 or min(self.displacement.shape) < 2:
            raise ValueError(
                "Expected displacements (3, kz, ky, kx) at two or more control points along each axis. "
                f"Received: shape {self.displacement.shape}"
            )
        if not _contains(self.grid_box, self.tile):
            raise ValueError(f"The control points span {self.grid_box}, which does not cover the tile {self.tile}.")

    @property
    def centre(self) -> NDArray[np.float64]:
        """The fixed point of `matrix`: the middle of the tile, between two voxels where a length is even."""
        middle: NDArray[np.float64] = (np.asarray(self.tile.start) + np.asarray(self.tile.stop) - 1) / 2
        return middle

    @property
    def grid_box(self) -> Box:
        """The voxels from the first control point to the last."""
        return Box.at(self.grid_origin, [self.grid_spacing * (count - 1) + 1 for count in self.displacement.shape[1:]])

    @cached_property
    def source_box(self) -> Box:
        """Contains every position that the tile is read at: all that needs to be read of the volume."""
        return self.source_box_of(self.tile)

    @property
    def covers_source(self) -> bool:
        """Whether all sources lie within the control points, as elasticdeform needs it."""
        return _contains(self.grid_box, self.source_box)

    def source_box_of(self, box: Box) -> Box:
        """Contains every position that `box`, a part of the tile, is read at, with the voxels around it."""
        bounds = [bounding_points(*place) for place in self._places(box)]
        points = [origin + points for origin, (points, _) in zip(self.grid_origin, bounds, strict=True)]
        corners = self._affine(points) + _along_axes(self.displacement, [matrix for _, matrix in bounds])
        # What lies 1e-9 of a voxel beyond a voxel is rounding, and no reason to read one more.
        low = np.floor(corners.min(axis=(1, 2, 3)) + 1e-9).astype(int)
        high = np.ceil(corners.max(axis=(1, 2, 3)) - 1e-9).astype(int)
        return Box.at(low, high - low + 1)

    def interpolation_matrices(self, box: Box) -> list[NDArray[np.float64]]:
        """Per axis the matrix ``(voxels of box, control points)`` from control values to displacements (separable)."""
        return [interpolation_matrix(*place) for place in self._places(box)]

    def affine_terms(self, points: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
        """Per axis ``(points, 3)``: a row of each, added up, is the source of a voxel without its displacement.

        Args:
            points: coordinates along z, y and x.
        """
        axes = zip(points, self.centre, self.matrix.T, strict=True)
        terms = [np.outer(along - centre, column) for along, centre, column in axes]
        terms[0] = terms[0] + self.centre
        return terms

    def source_positions(self, box: Box | None = None) -> NDArray[np.float64]:
        """The sources ``(3, z, y, x)`` of the tile, or of `box` in it: the reference that both engines are held to."""
        box = box or self.tile
        return self._affine(voxels_along_axes(box)) + _along_axes(self.displacement, self.interpolation_matrices(box))

    def _affine(self, points: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """The sources ``(3, z, y, x)``, without displacement, of all combinations of points along z, y and x."""
        along_z, along_y, along_x = (term.T for term in self.affine_terms(points))
        return along_z[:, :, None, None] + along_y[:, None, :, None] + along_x[:, None, None, :]

    def _places(self, box: Box) -> list[tuple[int, int, int, int]]:
        """Per axis where `box` lies among the control points: the arguments of the functions of `spline`."""
        counts = self.displacement.shape[1:]
        return [
            (start - origin, stop - origin, self.grid_spacing, count)
            for start, stop, origin, count in zip(box.start, box.stop, self.grid_origin, counts, strict=True)
        ]


def voxels_along_axes(box: Box) -> list[NDArray[np.intp]]:
    """The coordinates of the voxels of `box` along z, y and x."""
    return [np.arange(start, stop) for start, stop in zip(box.start, box.stop, strict=True)]


def _along_axes(values: NDArray[np.float64], matrices: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Apply one matrix along each spatial axis of ``(3, kz, ky, kx)``."""
    along_z, along_y, along_x = matrices
    values = np.einsum("czyx,Zz->cZyx", values, along_z, optimize=True)
    values = np.einsum("cZyx,Yy->cZYx", values, along_y, optimize=True)
    result: NDArray[np.float64] = np.einsum("cZYx,Xx->cZYX", values, along_x, optimize=True)
    return result


def _contains(outer: Box, inner: Box) -> bool:
    starts = zip(outer.start, inner.start, strict=True)
    stops = zip(outer.stop, inner.stop, strict=True)
    return all(a <= b for a, b in starts) and all(a >= b for a, b in stops)
