"""Going through a volume slab by slab, so that memory does not grow with it."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.voxels import Part, Voxels

SLAB_BYTES = 1 << 24
"""How much of a volume is in memory at once; a few times that where it is converted or compressed."""


def slabs(voxels: Voxels, together: Triple = (1, 1, 1)) -> Iterator[Box]:
    """Boxes of at most `SLAB_BYTES` that make up the volume: several planes, or rows where one plane is larger.

    Args:
        voxels: the volume.
        together: voxels along z, y, x that are written together. Where they are single ones, the boxes are runs of the
            volume's voxels in their order, x fastest.
    """
    depth, height, width, *channels = voxels.shape
    whole = Box((0, 0, 0), (depth, height, width))
    return blocks(whole, math.prod(channels) * voxels.dtype.itemsize, together, SLAB_BYTES)


def in_slabs(voxels: Voxels) -> Iterator[NDArray[Any]]:
    """All voxels in their order, ``(z, y, x)`` or ``(z, y, x, channel)``, a slab at a time."""
    for box in slabs(voxels):
        yield voxels[box.slices]


def bytes_of(array: NDArray[Any]) -> memoryview:
    """The voxels of a slab as they lie in a file, the last axis fastest; copied only where they do not lie so."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


class Converted:
    """Voxels in another number type, converted as they are read."""

    def __init__(self, voxels: Voxels, dtype: Any) -> None:
        self._voxels = voxels
        self.dtype = np.dtype(dtype)
        self.shape = voxels.shape
        self.ndim = voxels.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        return self._voxels[part].astype(self.dtype, copy=False)
