"""`volume_intensity` as part of a graph: the same sums in float64, one slice at a time."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_unet3d.volumes.intensity import SMALLEST_SCALE


def volume_intensity_graph(image: Any) -> Any:
    """Offset and scale of a whole volume.

    Args:
        image: float32 tensor ``(z, y, x, channel)``, raw, channels static.

    Returns:
        float32 ``(channel, 2)``.
    """
    first = tf.cast(image[0, 0, 0], tf.float64)
    voxels = tf.reduce_prod(tf.cast(tf.shape(image)[:3], tf.float64))
    offset = _summed(image, lambda z: z - first) / voxels
    squares = _summed(image, lambda z: tf.square(z - first - offset)) / voxels
    scale = tf.sqrt(squares)
    scale = tf.where(scale < SMALLEST_SCALE, tf.ones_like(scale), scale)
    return tf.cast(tf.stack([first + offset, scale], axis=-1), tf.float32)


def _summed(image: Any, of: Callable[[Any], Any]) -> Any:
    """Sum a function of the voxels per channel, holding one slice in float64 at a time."""

    def add(z: Any, total: Any) -> tuple[Any, Any]:
        return z + 1, total + tf.reduce_sum(of(tf.cast(image[z], tf.float64)), axis=[0, 1])

    start = (tf.constant(0), tf.zeros([image.shape[-1]], tf.float64))
    slices = tf.shape(image)[0]
    _, total = tf.while_loop(lambda z, _: z < slices, add, start, parallel_iterations=1)
    return total
