"""A model as tools of the BioImage Model Zoo call it: one tensor in, one out, as large."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from keras_unet3d.serving.mean_graph import summed_probabilities
from keras_unet3d.serving.zoo_axes import ZooAxis
from keras_unet3d.volumes.intensity import Intensities
from keras_unet3d.volumes.mirroring import fold


def zoo_graph(networks: Sequence[Any], axes: Sequence[ZooAxis], intensities: Intensities) -> Callable[[Any], Any]:
    """Build the function that a package holds.

    Tiles of any length are taken: one that the network cannot take is mirrored at its end up to the next that it can.

    Args:
        networks: from normalised ``(batch, z, y, x, channel)`` to logits; the mean of their probabilities is given.
        axes: along z, y, x.
        intensities: of the networks; of them this draws in what lies beyond the bounds, channel by channel.

    Returns:
        A function from ``(batch, z, y, x, channel)``, offset and scaled, to probabilities ``(batch, z, y, x, class)``
        of the same size. Within the halo they are 0 where an unpadded network has none.
    """

    def probabilities(image: Any) -> Any:
        tile = tf.clip_by_value(image, *intensities.bounds(image.shape[-1]))
        lengths = tf.unstack(tf.shape(image)[1:4])
        for number, (axis, length) in enumerate(zip(axes, lengths, strict=True), 1):
            tile = tf.gather(tile, _read(axis, length), axis=number)
        frozen = [partial(network, training=False) for network in networks]
        found = summed_probabilities(frozen, tile) / len(frozen)
        for number, (axis, length) in enumerate(zip(axes, lengths, strict=True), 1):
            found = _as_long(found, number, axis, length)
        return found

    return probabilities


def _read(axis: ZooAxis, length: Any) -> Any:
    """Where along an axis the network's input lies: from the lead on, up to a length that it can take."""
    minimum, multiple = axis.geometry.minimum, axis.geometry.multiple
    more = tf.maximum(length - axis.lead - minimum, 0)
    # Not -(-more // multiple): ONNX rounds quotients towards 0.
    return fold(axis.lead + tf.range(minimum + (more + multiple - 1) // multiple * multiple), length)


def _as_long(found: Any, number: int, axis: ZooAxis, length: Any) -> Any:
    """Along an axis of the result as many voxels as the input has: without what was mirrored, with zeros for losses."""
    before = axis.lead + axis.margin
    kept = found[(slice(None),) * number + (slice(0, tf.maximum(length - before, 0)),)]
    if not before:
        return kept
    shape = tf.unstack(tf.shape(kept))

    def zeros(voxels: Any) -> Any:
        return tf.zeros(tf.stack([*shape[:number], voxels, *shape[number + 1 :]]))

    before = tf.minimum(before, length)
    return tf.concat([zeros(before), kept, zeros(length - before - shape[number])], axis=number)
