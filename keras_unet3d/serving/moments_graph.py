"""Mean and variance of features that come tile by tile, as part of a graph."""

from typing import Any, NamedTuple

import tensorflow as tf


class Moments(NamedTuple):
    """What is known of the features so far, in float64.

    Attributes:
        voxels: how many.
        mean: ``(channel,)``.
        squares: ``(channel,)``: the sum of squared deviations from the mean.
    """

    voxels: Any
    mean: Any
    squares: Any

    @property
    def variance(self) -> Any:
        """``(channel,)``, of the voxels that were counted."""
        return self.squares / self.voxels


def no_moments(channels: int) -> Moments:
    """Of no features."""
    return Moments(tf.zeros([], tf.float64), tf.zeros([channels], tf.float64), tf.zeros([channels], tf.float64))


def add_moments(known: Moments, features: Any) -> Moments:
    """Count more features, one slice in float64 at a time.

    The moments of two sets of voxels are put together by the formula of Chan, Golub and LeVeque 1979 (Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances, equation 2.1): no large numbers are subtracted.

    Args:
        known: of what was counted before.
        features: ``(z, y, x, channel)``, channels static.
    """
    depth = tf.shape(features)[0]
    in_slice = tf.reduce_prod(tf.cast(tf.shape(features)[1:3], tf.float64))

    def add_slice(z: Any, known: Moments) -> tuple[Any, Moments]:
        values = tf.cast(features[z], tf.float64)
        mean = tf.reduce_mean(values, axis=[0, 1])
        squares = tf.reduce_sum(tf.square(values - mean), axis=[0, 1])
        voxels = known.voxels + in_slice
        apart = mean - known.mean
        return z + 1, Moments(
            voxels,
            known.mean + apart * (in_slice / voxels),
            known.squares + squares + tf.square(apart) * (known.voxels * in_slice / voxels),
        )

    _, moments = tf.while_loop(lambda z, _: z < depth, add_slice, (tf.constant(0), known), parallel_iterations=1)
    return Moments(*moments)
