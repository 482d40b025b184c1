"""The one rule for raw intensities: each channel minus its mean over the whole volume, by its standard deviation."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.voxels import Voxels, read_together

INTENSITY_RULE: Final = "mean and standard deviation of each channel over the whole volume"
"""How a model's description names this rule."""

SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""A channel that varies less is constant."""

_GROUP = 1 << 15
"""Voxels whose moments are taken at once: they stay in the processor's cache."""


def volume_intensity(image: Voxels) -> NDArray[np.float32]:
    """Offset and scale of a whole volume, in float64, in one pass that has little of it in memory.

    Mean and sum of squared deviations of many small groups of voxels are put together by the formula of Chan, Golub and
    LeVeque 1979 (Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, equation 2.1). Values are
    measured from the volume's first voxel, so that a constant channel comes out as exactly constant.

    Args:
        image: raw ``(z, y, x, channel)``, any number type, in memory or in a file.

    Returns:
        float32 ``(channel, 2)``: the mean, and the standard deviation, or 1 for a constant channel.
    """
    depth, height, width, channels = image.shape
    first = np.asarray(image[:1, :1, :1], dtype=np.float64).reshape(channels)
    voxels, mean, squares = 0, np.zeros(channels), np.zeros(channels)
    whole = Box((0, 0, 0), (depth, height, width))
    for block in blocks(whole, channels * image.dtype.itemsize, read_together(image)):
        values = image[block.slices].reshape(-1, channels)
        for start in range(0, len(values), _GROUP):
            group = values[start : start + _GROUP]
            group_mean, group_squares = _moments(group, first)
            total = voxels + len(group)
            apart = group_mean - mean
            mean += apart * (len(group) / total)
            squares += group_squares + np.square(apart) * (voxels * len(group) / total)
            voxels = total
    scale = np.sqrt(squares / voxels)
    scale = np.where(scale < SMALLEST_SCALE, 1.0, scale)
    return np.stack([first + mean, scale], axis=-1).astype(np.float32)


def normalised(raw: Any, intensity: Any) -> Any:
    """Subtract the offset and divide by the scale, written with operators alone: for arrays and tensors.

    Args:
        raw: float32 ``(batch, z, y, x, channel)``.
        intensity: float32 ``(batch, channel, 2)`` of the volume each tile comes from.
    """
    return (raw - intensity[:, None, None, None, :, 0]) / intensity[:, None, None, None, :, 1]


def _moments(group: NDArray[Any], first: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and sum of squared deviations from it, of each channel of ``(voxel, channel)``, measured from `first`."""
    # A row per channel, in which NumPy adds quickly and pairwise.
    values = np.empty(group.shape[::-1])
    for row, numbers, zero in zip(values, group.T, first, strict=True):
        np.subtract(numbers, zero, out=row, dtype=np.float64)
    mean = values.mean(axis=1)
    values -= mean[:, None]
    return mean, np.square(values, out=values).sum(axis=1)
