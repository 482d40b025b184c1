"""The segmentation of a volume as part of a graph: one request, one label map, whatever the size of the volume."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet3d.inference.axis import AxisTiling, axis_tiling
from keras_unet3d.network.moments import computed, shared_in_groups
from keras_unet3d.network.statistics import tile_normalizations
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.serving.intensity_graph import intensity_graph
from keras_unet3d.serving.mean_graph import summed_probabilities
from keras_unet3d.serving.moments_graph import Moments, add_moments, no_moments
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities
from keras_unet3d.volumes.mirroring import fold


def segment_volume_graph(
    networks: Sequence[Any],
    size: NetworkSize,
    tile: Sequence[int],
    label_values: NDArray[Any],
    intensities: Intensities = PER_VOLUME,
) -> Callable[[Any], Any]:
    """Build the function that a SavedModel serves as ``segment_volume``.

    Beside the image and its labels it holds one tile at a time: nothing is padded, no volume of probabilities is made.

    A network that normalises by the statistics of what it is given is given those of the whole mirrored volume, so that
    labels do not depend on the tiles. A single tile is computed once. Several are computed once more for every
    normalisation, up to there, to fix its moments.

    Args:
        networks: from normalised ``(batch, z, y, x, channel)`` to logits, of one kind; labels are those of the mean
            of their probabilities. They take each tile one after the other.
        size: of each network.
        tile: input voxels of a tile along z, y, x; where a volume needs less, less is read.
        label_values: the annotator's value of each class.
        intensities: of the network.

    Returns:
        A function from float32 ``(z, y, x, channel)``, raw, of any spatial size, to labels ``(z, y, x)``.
    """

    def segment(image: Any) -> Any:
        shape = tf.shape(image)[:3]
        z, y, x = (axis_tiling(shape[axis], tile[axis], along) for axis, along in enumerate(size.geometry.axes))
        tiles = _Tiles(image, intensities, intensity_graph(image, intensities)[None], (z, y, x))
        if not tile_normalizations(networks[0]):
            return _labels(tiles, networks, label_values)
        return tf.cond(
            tiles.count < 2,
            lambda: _labels(tiles, [_with_own_moments(network) for network in networks], label_values),
            lambda: _labels(tiles, _with_fixed_moments(tiles, networks, size), label_values),
        )

    return segment


@dataclass(frozen=True)
class _Tiles:
    """How a volume is read, tile by tile, in the order z, y, x.

    Attributes:
        image: raw ``(z, y, x, channel)``.
        intensities: of the network.
        intensity: ``(1, channel, 2)``, of the volume.
        axes: how the tiles follow one another along z, y and x.
    """

    image: Any
    intensities: Intensities
    intensity: Any
    axes: tuple[AxisTiling, AxisTiling, AxisTiling]

    @property
    def count(self) -> Any:
        z, y, x = self.axes
        return z.count * y.count * x.count

    def steps(self, step: Any) -> list[tuple[AxisTiling, Any]]:
        """Each axis, and which of its tiles is the one of this number."""
        _, rows, columns = (axis.count for axis in self.axes)
        index = (step // (rows * columns), step // columns % rows, step % columns)
        return list(zip(self.axes, index, strict=True))

    def read(self, step: Any) -> Any:
        """A normalised tile ``(1, z, y, x, channel)``, mirrored where it lies outside the volume."""
        raw = _read_mirrored(self.image, self.steps(step))[None]
        return self.intensities.normalised(raw, self.intensity, tf.clip_by_value)


def _labels(tiles: _Tiles, logits: Sequence[Callable[[Any], Any]], label_values: NDArray[Any]) -> Any:
    scores = logits[0] if len(logits) == 1 else partial(summed_probabilities, logits)

    def write_tile(step: Any, labels: Any) -> tuple[Any, Any]:
        steps = tiles.steps(step)
        start = tf.stack([axis.write_start(i) for axis, i in steps])
        stop = tf.stack([axis.write_stop(i) for axis, i in steps])
        crop = tf.stack([*(axis.crop_start(i) for axis, i in steps), 0])
        kept = tf.slice(scores(tiles.read(step))[0], crop, tf.concat([stop - start, [-1]], axis=0))
        values = tf.gather(label_values, tf.argmax(kept, axis=-1, output_type=tf.int32))
        labels = tf.raw_ops.TensorStridedSliceUpdate(
            input=labels, begin=start, end=stop, strides=tf.ones_like(start), value=values
        )
        return step + 1, tf.ensure_shape(labels, [None, None, None])

    _, labels = tf.while_loop(
        lambda step, _: step < tiles.count,
        write_tile,
        (tf.constant(0), tf.zeros(tf.shape(tiles.image)[:3], np.asarray(label_values).dtype)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, None])),
        parallel_iterations=1,  # several tiles at once would each take the memory of one
    )
    return labels


def _with_own_moments(network: Any) -> Callable[[Any], Any]:
    """The network with the moments of the only tile."""
    return lambda read: computed(network, read, _own_moments)


def _own_moments(layer: Any, features: Any) -> tuple[Any, Any]:
    """Mean and variance of the only tile."""
    moments = add_moments(no_moments(features.shape[-1]), features[0])
    return shared_in_groups(layer, moments.mean, moments.variance)


def _with_fixed_moments(tiles: _Tiles, networks: Sequence[Any], size: NetworkSize) -> list[Callable[[Any], Any]]:
    """The networks with the moments of the whole mirrored volume, of one network after the other."""
    before: list[Any] = []
    with_moments: list[Callable[[Any], Any]] = []
    for network in networks:
        with tf.control_dependencies(before):
            fixed = _fixed_moments(tiles, network, size)
        before = [moment for moments in fixed.values() for moment in moments]
        with_moments.append(partial(_computed_with, network, fixed))
    return with_moments


def _computed_with(network: Any, fixed: dict[str, tuple[Any, Any]], read: Any) -> Any:
    return computed(network, read, lambda layer, _: fixed[layer.name])


def _fixed_moments(tiles: _Tiles, network: Any, size: NetworkSize) -> dict[str, tuple[Any, Any]]:
    """The moments of a network over the whole mirrored volume: one normalisation after another is fixed."""
    fixed: dict[str, tuple[Any, Any]] = {}
    z, y, x = (axis.whole for axis in tiles.axes)
    convolutions = [layer for layer in size.layers((z, y, x)) if layer.looks_around]
    for layer, convolution in zip(tile_normalizations(network), convolutions, strict=True):
        moments = _moments_before(layer, tiles, network, fixed, convolution.level, convolution.written)
        fixed[layer.name] = shared_in_groups(layer, moments.mean, moments.variance)
    return fixed


def _moments_before(
    layer: Any, tiles: _Tiles, network: Any, fixed: dict[str, tuple[Any, Any]], level: int, whole: Sequence[Any]
) -> Moments:
    """Moments of what a normalisation is given, each feature of the whole mirrored volume counted once.

    Args:
        layer: the normalisation.
        tiles: of the volume.
        network: that it is part of.
        fixed: moments for the normalisations before it.
        level: of the U-Net.
        whole: features along z, y, x that one tile for the whole volume would have here.
    """

    def count_tile(step: Any, known: Moments) -> tuple[Any, Moments]:
        features = computed(network, tiles.read(step), lambda before, _: fixed[before.name], until=layer.name)[0]
        (z, z_stop), (y, y_stop), (x, x_stop) = (
            axis.counted(i, level, length) for (axis, i), length in zip(tiles.steps(step), whole, strict=True)
        )
        return step + 1, add_moments(known, features[z:z_stop, y:y_stop, x:x_stop])

    start = (tf.constant(0), no_moments(layer.input.shape[-1]))
    _, moments = tf.while_loop(lambda step, _: step < tiles.count, count_tile, start, parallel_iterations=1)
    return Moments(*moments)


def _read_mirrored(image: Any, steps: Sequence[tuple[AxisTiling, Any]]) -> Any:
    """Copy one tile out of the volume, mirrored where it lies outside.

    The part of the volume that it needs, never longer than the tile, is sliced out first, so that no step holds more.
    """
    shape = tf.shape(image)
    folded = [fold(axis.read_start(i) + tf.range(axis.tile), shape[d]) for d, (axis, i) in enumerate(steps)]
    first = [tf.reduce_min(indices) for indices in folded]
    last = [tf.reduce_max(indices) for indices in folded]
    part = image[first[0] : last[0] + 1, first[1] : last[1] + 1, first[2] : last[2] + 1]
    for d in range(3):
        part = tf.gather(part, folded[d] - first[d], axis=d)
    return part
