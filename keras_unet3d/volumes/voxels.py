"""Voxels that are read part by part: an array in memory, or one in a file that is larger than memory."""

from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Part = slice | tuple[slice, ...]
"""Which voxels: a slice along z, or up to three along z, y and x, all without a step."""


@runtime_checkable
class Voxels(Protocol):
    """What NumPy arrays and arrays in files have in common: ``voxels[2:6, :, 10:20]`` is an array in memory.

    The axes are ``(z, y, x)``, or ``(z, y, x, channel)`` with all channels in every part.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along z, y, x, and channels where there are some."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a voxel, as it is read."""

    @property
    def ndim(self) -> int:
        """3, or 4 with channels."""

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read a part."""


def held_bytes(voxels: Voxels) -> int:
    """Memory that voxels take as long as they are there, before any part is read: none, or little, where in a file."""
    return voxels.nbytes if isinstance(voxels, np.ndarray) else int(getattr(voxels, "held_bytes", 0))


def read_together(voxels: Voxels) -> tuple[int, int, int]:
    """Voxels along z, y and x that are stored together, so that reading one reads all: a row, or a chunk of HDF5."""
    z, y, x = getattr(voxels, "together", (1, 1, 1))
    return z, y, x


def as_array(voxels: Voxels) -> NDArray[Any]:
    """Voxels as the voxels of a `Volume`, which most code wants as an array; code that reads parts takes any."""
    return cast("NDArray[Any]", voxels)
