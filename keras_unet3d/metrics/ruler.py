"""What distances in a volume are measured with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.length import Length
from keras_unet3d.volumes.volume import Grid

IN_VOXELS = "voxels"
"""The unit where no file says how large its voxels are."""


@dataclass(frozen=True)
class Ruler:
    """The size of voxels, and the distance that does not matter.

    Attributes:
        grid: of the voxels.
        unit: of distances: that of the grid; mm where it has a spacing without a unit, as everywhere here; and
            `IN_VOXELS` where it has neither.
        tolerance: up to which a border counts as found by `SurfaceDistances.surface_dice`, in `unit`.
        assumed: whether no file has the unit, so that it was taken as mm.
    """

    grid: Grid
    unit: str
    tolerance: float
    assumed: bool = False

    @classmethod
    def of(cls, grids: Sequence[Grid], tolerance: Length | None = None, unit: str = "") -> "Ruler":
        """Measure on the grid that says most about its voxels.

        Args:
            grids: of the label maps that are compared; they agree in what they say.
            tolerance: None for the longest edge of a voxel: no border can be drawn more precisely.
            unit: to measure in, if it can be converted to.

        Raises:
            InputError: if the tolerance has a unit and no grid says how large its voxels are.
        """
        grid = max(grids, key=lambda grid: (not replace(grid, unit="").carries_no_space, bool(grid.unit)))
        if grid.carries_no_space:
            if tolerance is not None and tolerance.unit:
                raise InputError(
                    f"The label maps say neither spacing nor unit, so that {tolerance} cannot be measured in them. "
                    "Give the tolerance in voxels, without a unit."
                )
            return cls(grid, IN_VOXELS, 1.0 if tolerance is None else tolerance.value)
        assumed = not grid.unit
        grid = replace(grid, unit=grid.unit or "mm")
        grid = grid if unit == IN_VOXELS else grid.in_unit(unit)
        longest = max(grid.spacing)
        return cls(grid, grid.unit, longest if tolerance is None else tolerance.in_unit(grid.unit), assumed)

    @property
    def steps(self) -> NDArray[np.float64]:
        """From a voxel to the next along z, y and x, in `unit`: the spacing ``(3,)``.

        A matrix ``(3, 3)`` of the steps in space where a NIfTI shears, so that its axes are not at right angles.
        """
        direction = np.asarray(self.grid.direction)
        if np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
            return np.asarray(self.grid.spacing)
        return np.ascontiguousarray(self.grid.affine[:3, 2::-1].T)  # columns are x, y, z
