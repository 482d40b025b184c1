"""`segment_voxels` as part of a graph: one request, one label map, whatever the size of the volume."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet3d.inference.axis import AxisTiling, axis_tiling
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.intensity_graph import volume_intensity_graph
from keras_unet3d.volumes.intensity import normalised
from keras_unet3d.volumes.mirroring import fold


def segment_volume_graph(
    network: Any, geometry: Geometry, tile: Sequence[int], label_values: NDArray[Any]
) -> Callable[[Any], Any]:
    """Build the function that a SavedModel serves as ``segment_volume``.

    Beside the image and its labels it holds one tile at a time: nothing is padded, no volume of probabilities is made.

    Args:
        network: from normalised ``(batch, z, y, x, channel)`` to logits.
        geometry: of the network.
        tile: input voxels of a tile along z, y, x; where a volume needs less, less is read.
        label_values: the annotator's value of each class.

    Returns:
        A function from float32 ``(z, y, x, channel)``, raw, of any spatial size, to labels ``(z, y, x)``.
    """

    def segment(image: Any) -> Any:
        intensity = volume_intensity_graph(image)[None]
        shape = tf.shape(image)[:3]
        axes = [axis_tiling(shape[axis], tile[axis], geometry) for axis in range(3)]
        _, rows, columns = (axis.count for axis in axes)

        def write_tile(step: Any, labels: Any) -> tuple[Any, Any]:
            index = (step // (rows * columns), step // columns % rows, step % columns)
            raw = _read_mirrored(image, axes, index)
            logits = network(normalised(raw[None], intensity), training=False)[0]
            start = tf.stack([axis.write_start(i) for axis, i in zip(axes, index, strict=True)])
            stop = tf.stack([axis.write_stop(i) for axis, i in zip(axes, index, strict=True)])
            crop = tf.stack([*(axis.crop_start(i) for axis, i in zip(axes, index, strict=True)), 0])
            kept = tf.slice(logits, crop, tf.concat([stop - start, [-1]], axis=0))
            values = tf.gather(label_values, tf.argmax(kept, axis=-1, output_type=tf.int32))
            labels = tf.raw_ops.TensorStridedSliceUpdate(
                input=labels, begin=start, end=stop, strides=tf.ones_like(start), value=values
            )
            return step + 1, tf.ensure_shape(labels, [None, None, None])

        tiles = axes[0].count * rows * columns
        labels = tf.zeros(shape, np.asarray(label_values).dtype)
        _, labels = tf.while_loop(
            lambda step, _: step < tiles,
            write_tile,
            (tf.constant(0), labels),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, None])),
            parallel_iterations=1,  # several tiles at once would each take the memory of one
        )
        return labels

    return segment


def _read_mirrored(image: Any, axes: Sequence[AxisTiling], index: Sequence[Any]) -> Any:
    """Copy one tile out of the volume, mirrored where it lies outside.

    The part of the volume that it needs, never longer than the tile, is sliced out first, so that no step holds more.
    """
    shape = tf.shape(image)
    folded = [
        fold(axis.read_start(i) + tf.range(axis.tile), shape[d])
        for d, (axis, i) in enumerate(zip(axes, index, strict=True))
    ]
    first = [tf.reduce_min(indices) for indices in folded]
    last = [tf.reduce_max(indices) for indices in folded]
    part = image[first[0] : last[0] + 1, first[1] : last[1] + 1, first[2] : last[2] + 1]
    for d in range(3):
        part = tf.gather(part, folded[d] - first[d], axis=d)
    return part
