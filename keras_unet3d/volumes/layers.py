"""Voxels that are stored in chunks and read plane by plane: a layer of chunks is unpacked once, not for every slab."""

from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.voxels import Part, Voxels, read_together

THICKEST = 64
"""Planes of a layer, at most: of thicker chunks, parts are kept."""


def layer_planes(voxels: Voxels) -> int:
    """Planes along z that are kept when one of them is read; 1 where planes are stored one by one."""
    stored = 1 if isinstance(voxels, np.ndarray) else read_together(voxels)[0]
    return ceil(stored / ceil(stored / THICKEST))


def column_bytes(voxels: Voxels) -> int:
    """What is kept for each voxel of a plane, all channels; nothing where planes are stored one by one."""
    planes = layer_planes(voxels)
    return planes * prod(voxels.shape[3:]) * voxels.dtype.itemsize if planes > 1 else 0


class LayeredVoxels:
    """Voxels of which one layer is kept, for slabs of the same rows and columns that are read one after the other.

    What is returned may be a part of what is kept: it is not to be changed. One thread at a time may read.
    """

    def __init__(self, voxels: Voxels) -> None:
        """Keep nothing yet."""
        self._voxels, self._planes = voxels, layer_planes(voxels)
        self._place: Box | None = None
        self._layer: NDArray[Any] | None = None
        self.shape, self.dtype, self.ndim = voxels.shape, voxels.dtype, voxels.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read a part."""
        box = Box.of(part, self.shape)
        if not box.voxels:
            return self._voxels[box.slices]
        first, stop = box.start[0], box.stop[0]
        parts = []
        for z in range(first // self._planes * self._planes, stop, self._planes):
            layer = self._read(Box((z, *box.start[1:]), (min(z + self._planes, self.shape[0]), *box.stop[1:])))
            parts.append(layer[max(first - z, 0) : stop - z])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read(self, place: Box) -> NDArray[Any]:
        if self._layer is None or place != self._place:
            self._layer = None  # before the next one is there: two would be held beside it
            self._place, self._layer = place, self._voxels[place.slices]
        return self._layer
