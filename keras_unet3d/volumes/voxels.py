"""Voxels that are read part by part: an array in memory, or one in a file that is larger than memory."""

from typing import Any, Protocol, runtime_checkable

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
