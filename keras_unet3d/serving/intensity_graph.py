"""`Intensities.of` as part of a graph: the same sums in float64, one slice at a time."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import tensorflow as tf

from keras_unet3d.volumes.intensity import REACH, ROUNDS, SMALLEST_SCALE, Intensities, drawn_in


def intensity_graph(image: Any, intensities: Intensities) -> Any:
    """Offset and scale of a whole volume, those of windows in their place.

    Args:
        image: float32 tensor ``(z, y, x, channel)``, raw, channels static.
        intensities: of the model.

    Returns:
        float32 ``(channel, 2)``.
    """
    windows, channels = intensities.windows, image.shape[-1]
    measured: Any = _traced_once(image) if len(windows) < channels else ()
    return tf.stack(
        [
            tf.constant([windows[number].offset, windows[number].scale]) if number in windows else measured[number]
            for number in range(channels)
        ]
    )


def volume_intensity_graph(image: Any) -> Any:
    """Offset and scale of a whole volume, robust to outliers, as `volume_intensity` finds them.

    Args:
        image: float32 tensor ``(z, y, x, channel)``, raw, channels static.

    Returns:
        float32 ``(channel, 2)``.
    """
    zero = tf.cast(image[0, 0, 0], tf.float64)
    everything = tf.fill(tf.shape(zero), tf.constant(-inf, tf.float64))
    within = _within(image, zero)
    plain = drawn_in(within.below, within.above, within.mean, within.variance, tf.sqrt)

    def still_open(state: "_State") -> Any:
        reach = REACH * state.scale
        low, high = tf.maximum(state.low, state.offset - reach), tf.minimum(state.high, state.offset + reach)
        beyond = tf.logical_or(state.least < low, state.greatest > high)
        return state._replace(low=low, high=high, open=tf.logical_and(state.open, beyond))

    def draw_in(number: Any, state: "_State") -> tuple[Any, "_State"]:
        within = _within(image, zero, state.low, state.high)
        varies = within.least < within.greatest
        drawn = drawn_in(within.below, within.above, within.mean, within.variance, tf.sqrt)
        offset, scale = (
            tf.where(state.open, tf.where(varies, new, usual), old)
            for new, usual, old in zip(drawn, plain, (state.offset, state.scale), strict=True)
        )
        following = _State(
            offset, scale, state.low, state.high, within.least, within.greatest, tf.logical_and(state.open, varies)
        )
        return number + 1, still_open(following)

    start = _State(*plain, everything, -everything, within.least, within.greatest, tf.ones_like(zero, tf.bool))
    _, found = tf.while_loop(
        lambda number, state: tf.logical_and(number < ROUNDS, tf.reduce_any(state.open)),
        draw_in,
        (tf.constant(0), still_open(start)),
        parallel_iterations=1,
    )
    scale = tf.where(found.scale < SMALLEST_SCALE, tf.ones_like(found.scale), found.scale)
    return tf.cast(tf.stack([zero + found.offset, scale], axis=-1), tf.float32)


_traced_once: Any = tf.function(volume_intensity_graph, autograph=False)
"""For all signatures of a model."""


class _State(NamedTuple):
    """Of the search, for each channel; offset and bounds are measured from the first voxel."""

    offset: Any
    scale: Any
    low: Any
    high: Any
    least: Any
    greatest: Any
    open: Any


class _Within(NamedTuple):
    """What is known of a volume's values within bounds, by channel; shares are those of all values."""

    below: Any
    above: Any
    mean: Any
    variance: Any
    least: Any
    greatest: Any


def _within(image: Any, zero: Any, low: Any = None, high: Any = None) -> _Within:
    """Two passes over the volume: for the mean, and for what deviates from it. Without bounds all values are within."""
    voxels = tf.reduce_prod(tf.cast(tf.shape(image)[:3], tf.float64))
    nothing = tf.zeros_like(zero)

    def kept(z: Any, instead: Any) -> Any:
        return z if low is None else tf.where(tf.logical_or(z < low, z > high), instead, z)

    def number(of: Any) -> Any:
        return tf.reduce_sum(tf.cast(of, tf.float64), axis=[0, 1])

    def count(z: Any, known: tuple[Any, ...]) -> tuple[Any, ...]:
        below, above, total, least, greatest = known
        if low is not None:
            below, above = below + number(z < low), above + number(z > high)
        total += tf.reduce_sum(kept(z, nothing), axis=[0, 1])
        least = tf.minimum(least, tf.reduce_min(kept(z, nothing + inf), axis=[0, 1]))
        greatest = tf.maximum(greatest, tf.reduce_max(kept(z, nothing - inf), axis=[0, 1]))
        return below, above, total, least, greatest

    start = (nothing, nothing, nothing, nothing + inf, nothing - inf)
    below, above, total, least, greatest = _folded(image, zero, count, start)
    between = voxels - below - above
    mean = total / between

    def deviate(z: Any, known: tuple[Any, ...]) -> tuple[Any, ...]:
        return (known[0] + tf.reduce_sum(tf.square(kept(z, mean) - mean), axis=[0, 1]),)

    (squares,) = _folded(image, zero, deviate, (nothing,))
    return _Within(below / voxels, above / voxels, mean, squares / between, least, greatest)


def _folded(
    image: Any, zero: Any, add: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]], start: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Go through the slices, holding one, measured from `zero`, in float64 at a time."""

    def step(number: Any, known: tuple[Any, ...]) -> tuple[Any, Any]:
        return number + 1, add(tf.cast(image[number], tf.float64) - zero, known)

    slices = tf.shape(image)[0]
    _, found = tf.while_loop(lambda number, _: number < slices, step, (tf.constant(0), start), parallel_iterations=1)
    return tuple(found)
