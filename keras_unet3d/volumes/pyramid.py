"""A volume at lower and lower resolutions, as viewers of large volumes want it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.volume import Grid

COARSEST = 256
"""No level is made of one whose axes are all this short."""


def halvings(grid: Grid) -> Iterator[Triple]:
    """How many voxels of each level, 1 or 2 along z, y and x, become one of the next.

    An axis waits until voxels are as long along the others, so that those of coarse levels are about cubes.
    """
    shape, lengths = np.array(grid.shape), np.array(grid.spacing)
    while shape.max() > COARSEST:
        finest = lengths[shape > 1].min()
        step = np.where((shape > 1) & (lengths < 2 * finest), 2, 1)
        shape, lengths = -(-shape // step), lengths * step
        z, y, x = step.tolist()
        yield z, y, x


def halved(voxels: NDArray[np.generic], step: Triple, *, labels: bool) -> NDArray[np.generic]:
    """Voxels ``(z, y, x)`` or ``(z, y, x, channel)`` of the next level.

    Args:
        voxels: a part that begins at a multiple of `step`; at an end that is none, fewer become one.
        step: how many along z, y and x become one.
        labels: whether one is the first of them; else their mean, whole where they are.
    """
    if labels:
        z, y, x = step
        return voxels[::z, ::y, ::x]
    mean = voxels.astype(np.float32)
    for axis, count in enumerate(step):
        starts = np.arange(0, mean.shape[axis], count)
        sizes = np.diff([*starts, mean.shape[axis]]).astype(np.float32)
        mean = np.add.reduceat(mean, starts, axis=axis)
        mean /= np.expand_dims(sizes, tuple(range(1, mean.ndim - axis)))
    return (mean if voxels.dtype.kind == "f" else np.rint(mean)).astype(voxels.dtype)
