"""Mean, deviation and range of a volume's values, part by part, by however many processes."""

from dataclasses import dataclass
from functools import reduce
from math import inf
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.voxels import Voxels, read_together

_GROUP = 1 << 16
"""Voxels whose moments are taken at once: they stay in the processor's cache."""
_PORTION = 1 << 28
"""Bytes, at most, that a process measures at once where several do."""


@dataclass(frozen=True)
class Bounds:
    """What values of a volume are counted between, by channel, each measured from some zero.

    Attributes:
        zero: raw.
        low: those below it are counted as below.
        high: those above it are counted as above.
    """

    zero: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """What is known of the values of a volume, or of a part of it, by channel.

    Mean and sum of squared deviations of parts are put together by the formula of Chan, Golub and LeVeque 1979
    (Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, equation 2.1). Values are measured from
    the volume's first voxel, so that a constant channel comes out as exactly constant.

    Attributes:
        below: how many values lie below the bounds.
        above: how many lie above.
        count: how many lie between.
        mean: of those between.
        squares: of their deviations from it, summed up.
        least: of those between.
        greatest: of those between.
    """

    below: Any
    above: Any
    count: Any
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    least: NDArray[np.float64]
    greatest: NDArray[np.float64]

    def __add__(self, other: "Sums") -> "Sums":
        """Of two parts together."""
        count = self.count + other.count
        total = np.maximum(count, 1)
        apart = other.mean - self.mean
        return Sums(
            self.below + other.below,
            self.above + other.above,
            count,
            self.mean + apart * (other.count / total),
            self.squares + other.squares + np.square(apart) * (self.count * other.count / total),
            np.minimum(self.least, other.least),
            np.maximum(self.greatest, other.greatest),
        )


def portions(image: Voxels) -> list[Box]:
    """Boxes that make up a volume, each of which is measured at once, by whichever process."""
    depth, height, width, channels = image.shape
    whole = Box((0, 0, 0), (depth, height, width))
    return list(blocks(whole, channels * image.dtype.itemsize, read_together(image), limit=_PORTION))


def measured(image: Voxels, box: Box, bounds: Bounds) -> Sums:
    """Read a part of a raw volume ``(z, y, x, channel)``, block by block, and count its values."""
    channels = image.shape[3]
    parts = (
        _counted(voxels[start : start + _GROUP], bounds)
        for block in blocks(box, channels * image.dtype.itemsize, read_together(image))
        for voxels in [image[block.slices].reshape(-1, channels)]
        for start in range(0, len(voxels), _GROUP)
    )
    return reduce(add, parts)


def _counted(group: NDArray[Any], bounds: Bounds) -> Sums:
    """Count the values ``(voxel, channel)`` of a group."""
    # A row per channel, in which NumPy adds quickly and pairwise.
    values = np.empty(group.shape[::-1])
    for row, numbers, of_channel in zip(values, group.T, bounds.zero, strict=True):
        np.subtract(numbers, of_channel, out=row, dtype=np.float64)
    none = np.zeros(len(values))
    below, above, count = none, none, none + len(group)
    here: Any = True
    if np.isfinite(bounds.low).any() or np.isfinite(bounds.high).any():
        is_below, is_above = values < bounds.low[:, None], values > bounds.high[:, None]
        here = ~(is_below | is_above)
        below, above, count = (each.sum(axis=1).astype(np.float64) for each in (is_below, is_above, here))
    least = np.minimum.reduce(values, axis=1, where=here, initial=inf)
    greatest = np.maximum.reduce(values, axis=1, where=here, initial=-inf)
    mean = np.add.reduce(values, axis=1, where=here) / np.maximum(count, 1)
    values -= mean[:, None]
    squares = np.add.reduce(np.square(values, out=values), axis=1, where=here)
    return Sums(below, above, count, mean, squares, least, greatest)
