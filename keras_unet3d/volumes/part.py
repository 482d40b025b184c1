"""A box of a volume as a volume of its own, and as what it is within the whole."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import Part, Voxels, as_array, held_bytes, read_together


class PartVoxels:
    """A box of some voxels, read from them when it is wanted.

    Attributes:
        whole: the voxels.
        box: inside of them.
    """

    def __init__(self, whole: Voxels, box: Box) -> None:
        """Take a box."""
        if box.clipped(whole.shape[:3]) != box:
            raise ValueError(f"Expected a box inside of {named(whole.shape[:3])}. Received: {box}")
        self.whole, self.box = whole, box
        self.shape = (*box.shape, *whole.shape[3:])
        self.dtype, self.ndim = whole.dtype, whole.ndim
        self.held_bytes, self.together = held_bytes(whole), read_together(whole)

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read a part."""
        return self.whole[Box.of(part, self.shape).shifted(self.box.start).slices]


class PlacedVoxels:
    """Voxels where they lie in a larger volume, of which nothing else can be read."""

    def __init__(self, voxels: Voxels, start: Sequence[int], shape: Sequence[int]) -> None:
        """Place them.

        Args:
            voxels: the part that is there.
            start: of it, along z, y, x.
            shape: of the whole.
        """
        self._voxels, self._box = voxels, Box.at(start, voxels.shape[:3])
        self.shape = (*shape, *voxels.shape[3:])
        self.dtype, self.ndim = voxels.dtype, voxels.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read a part.

        Raises:
            IndexError: if some of it is not there.
        """
        box = Box.of(part, self.shape)
        inside = box.shifted([-first for first in self._box.start])
        if inside.clipped(self._box.shape) != inside:
            raise IndexError(f"Expected a part of {self._box}. Received: {box}")
        return self._voxels[inside.slices]


def part_of(volume: Volume, box: Box) -> Volume:
    """A box of a volume, on the grid of its voxels: a viewer shows it where it lies in the whole."""
    voxels: Any = volume.voxels
    voxels = voxels[box.slices] if isinstance(voxels, np.ndarray) else as_array(PartVoxels(voxels, box))
    return replace(volume, voxels=voxels, grid=volume.grid.part(box.start, box.shape))
