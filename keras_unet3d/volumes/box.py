"""A place in a volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.mirroring import mirrored_range, mirrored_runs
from keras_unet3d.volumes.voxels import Part, Voxels

Triple = tuple[int, int, int]

_READ_AT_ONCE = 1 << 22
"""Bytes, about."""
_MOST_RUNS = 4096
"""A volume of few voxels is mirrored so often that its runs are no longer than single voxels."""


@dataclass(frozen=True)
class Box:
    """Voxels from `start` up to, not including, `stop`, each ordered z, y, x. May reach outside the volume."""

    start: Triple
    stop: Triple

    @classmethod
    def at(cls, start: Sequence[int], shape: Sequence[int]) -> "Box":
        """The box of `shape` that begins at `start`."""
        z, y, x = (int(value) for value in start)
        depth, height, width = (int(value) for value in shape)
        return cls((z, y, x), (z + depth, y + height, x + width))

    @classmethod
    def of(cls, part: Part, shape: Sequence[int]) -> "Box":
        """The box that a part of a volume of `shape` is, as slices of arrays mean it; empty, not negative.

        Raises:
            IndexError: for what is no slice without a step, or more than three of them.
        """
        slices = part if isinstance(part, tuple) else (part,)
        if len(slices) > 3 or not all(isinstance(one, slice) and one.step in {None, 1} for one in slices):
            raise IndexError(f"Expected up to three slices without a step. Received: {part}")
        slices += (slice(None),) * (3 - len(slices))
        (z, z_stop, _), (y, y_stop, _), (x, x_stop, _) = (
            one.indices(size) for one, size in zip(slices, shape, strict=False)
        )
        return cls((z, y, x), (max(z, z_stop), max(y, y_stop), max(x, x_stop)))

    @property
    def shape(self) -> Triple:
        """Voxels along z, y and x."""
        z, y, x = (stop - start for start, stop in zip(self.start, self.stop, strict=True))
        return z, y, x

    @property
    def voxels(self) -> int:
        """How many there are."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """For indexing an array whose first axes are z, y, x. Only for boxes that begin inside."""
        z, y, x = (slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))
        return z, y, x

    def shifted(self, offset: Sequence[int]) -> "Box":
        """The same box, moved by `offset` (z, y, x)."""
        return Box.at([a + b for a, b in zip(self.start, offset, strict=True)], self.shape)

    def grown(self, margins: Sequence[int]) -> "Box":
        """The box with so many more voxels (z, y, x) on either side of each axis; negative shrinks it."""
        start = [first - margin for first, margin in zip(self.start, margins, strict=True)]
        return Box.at(start, [size + 2 * margin for size, margin in zip(self.shape, margins, strict=True)])

    def clipped(self, shape: Sequence[int]) -> "Box":
        """The part of the box that lies inside a volume of `shape`; empty (not negative) where there is none."""
        start = [min(max(value, 0), size) for value, size in zip(self.start, shape, strict=True)]
        stop = [min(max(value, low), size) for value, low, size in zip(self.stop, start, shape, strict=True)]
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def __str__(self) -> str:
        ranges = zip(AXES, self.start, self.stop, strict=True)
        return " ".join(f"{axis}={start}:{stop}" for axis, start, stop in reversed(list(ranges)))


def read_mirrored(voxels: Voxels, box: Box, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Copy `box` out of voxels whose first axes are z, y, x; what lies outside is mirrored in.

    Every voxel that is needed is read once, and what is read at once is little beside the result.

    Args:
        voxels: in memory, or in a file.
        box: may lie outside, however far.
        out: for voxels in memory, an array to copy into.
    """
    axes = list(zip(box.start, box.stop, voxels.shape, strict=False))
    if isinstance(voxels, np.ndarray):
        return _copy_runs(voxels, axes, np.empty((*box.shape, *voxels.shape[3:]), voxels.dtype) if out is None else out)
    places = [mirrored_range(*axis) for axis in axes]
    if box.clipped(voxels.shape[:3]) == box:
        return voxels[box.slices]
    result = np.empty((*box.shape, *voxels.shape[3:]), voxels.dtype)
    if not result.size:
        return result
    z, y, x = places
    planes = max(1, _READ_AT_ONCE // result[0].nbytes)
    _, ys, xs = (slice(int(place.min()), int(place.max()) + 1) for place in places)
    for first in range(int(z.min()), int(z.max()) + 1, planes):
        wanted = (z >= first) & (z < first + planes)
        if wanted.any():
            part = voxels[first : int(z[wanted].max()) + 1, ys, xs]
            result[wanted] = part[np.ix_(z[wanted] - first, y - ys.start, x - xs.start)]
    return result


def _copy_runs(voxels: NDArray[Any], axes: Sequence[tuple[int, int, int]], result: NDArray[Any]) -> NDArray[Any]:
    runs = [mirrored_runs(*axis) for axis in axes]
    if prod(map(len, runs)) > _MOST_RUNS:
        result[:] = voxels[np.ix_(*(mirrored_range(*axis) for axis in axes))]
    else:
        for (to_z, z), (to_y, y), (to_x, x) in product(*runs):
            result[to_z, to_y, to_x] = voxels[z, y, x]
    return result
