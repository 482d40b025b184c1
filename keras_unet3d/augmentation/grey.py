"""Grey values of a tile, in Keras operations: eager, in a graph, on any backend."""

from typing import Any

from keras import ops

from keras_unet3d.augmentation.parameters import GreyValues
from keras_unet3d.volumes.box import Triple


def grey_inputs(grey: GreyValues, shape: Triple) -> tuple[Any, Any, Any, Any]:
    """What `apply_grey` needs behind the image, as NumPy arrays: gain, offset, gamma and the noise itself.

    The noise is drawn here because only NumPy's generators are decided by a seed on every backend.
    """
    return grey.gain, grey.offset, grey.gamma, grey.noise(shape)


def apply_grey(image: Any, gain: Any, offset: Any, gamma: Any, noise: Any) -> Any:
    """Vary the intensities of a tile: gamma within the tile's range, then gain and offset, then noise.

    With gain 1, offset 0, gamma 1 and no noise the image comes back exactly as it was.

    Args:
        image: float32 ``(z, y, x, channel)``, normalised: about mean 0 and standard deviation 1 in each channel.
        gain: ``(channel,)``.
        offset: ``(channel,)``.
        gamma: ``(channel,)``; above 1 darkens what lies between the darkest and the brightest voxel, which both stay.
        noise: ``(z, y, x, channel)`` or ``(1, 1, 1, channel)``, added last.
    """
    darkest = ops.min(image, axis=(0, 1, 2))
    extent = ops.max(image, axis=(0, 1, 2)) - darkest
    relative = (image - darkest) / ops.where(extent > 0, extent, ops.ones_like(extent))
    # relative ** gamma, four times as fast on the CPU; where relative is 0, exp(−∞) is 0, too.
    power = ops.exp(gamma * ops.log(relative))
    curved = ops.where(gamma == 1, image, power * extent + darkest)
    return curved * gain + offset + noise
