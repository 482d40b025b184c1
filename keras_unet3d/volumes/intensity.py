"""The one rule for raw intensities: each channel minus its mean over the whole volume, by its standard deviation."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

INTENSITY_RULE: Final = "mean and standard deviation of each channel over the whole volume"
"""How a model's description names this rule."""

SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""A channel that varies less is constant."""


def volume_intensity(image: NDArray[Any]) -> NDArray[np.float32]:
    """Offset and scale of a whole volume, summed in float64, one slice at a time.

    Values are measured from the volume's first voxel, so that a constant channel comes out as exactly constant.

    Args:
        image: raw ``(z, y, x, channel)``, any number type.

    Returns:
        float32 ``(channel, 2)``: the mean, and the standard deviation, or 1 for a constant channel.
    """
    first = np.asarray(image[0, 0, 0], dtype=np.float64)
    voxels = float(np.prod(image.shape[:3]))
    offset = sum((np.asarray(z, np.float64) - first).sum(axis=(0, 1)) for z in image) / voxels
    squares = sum(np.square(np.asarray(z, np.float64) - first - offset).sum(axis=(0, 1)) for z in image)
    scale = np.sqrt(squares / voxels)
    scale = np.where(scale < SMALLEST_SCALE, 1.0, scale)
    return np.stack([first + offset, scale], axis=-1).astype(np.float32)


def normalised(raw: Any, intensity: Any) -> Any:
    """Subtract the offset and divide by the scale, written with operators alone: for arrays and tensors.

    Args:
        raw: float32 ``(batch, z, y, x, channel)``.
        intensity: float32 ``(batch, channel, 2)`` of the volume each tile comes from.
    """
    return (raw - intensity[:, None, None, None, :, 0]) / intensity[:, None, None, None, :, 1]
