"""Normalisation as training computes it: the layers of the network, with the arithmetic of fused operations."""

from typing import Any

import keras
import tensorflow as tf

from keras_unet3d.network.clones import clone


class TrainingBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation in one fused operation; over several devices by the moments of the whole batch.

    The moving statistics are left alone unless `momentum` is 0: whoever uses them collects them anew
    (`MomentCollector`), and a training step neither computes nor exchanges them.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise ``(batch, z, y, x, channel)``."""
        if not training:
            return super().call(inputs, training=training, mask=mask)
        if tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context():
            return self._over_devices(inputs)
        shape = tf.shape(inputs)
        rows = tf.reshape(inputs, (shape[0], -1, 1, inputs.shape[-1]))
        output, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=rows,
            scale=self.gamma,
            offset=self.beta,
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
            is_training=True,
        )
        if self.momentum == 0:
            voxels = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance * (voxels - 1) / voxels)  # the operation gives the unbiased one
        return tf.reshape(output, shape)

    def _over_devices(self, inputs: Any) -> Any:
        """By the moments of all devices' parts of the batch; the moving statistics are never touched."""
        values = tf.cast(inputs, tf.float32)
        axes = list(range(values.shape.rank - 1))
        voxels = tf.cast(tf.size(values) // values.shape[-1], tf.float32)
        add_up = tf.distribute.get_replica_context().all_reduce
        sums = add_up(tf.distribute.ReduceOp.SUM, tf.concat([tf.reduce_sum(values, axes), voxels[None]], axis=0))
        mean, voxels = sums[:-1] / sums[-1], sums[-1]
        squares = add_up(tf.distribute.ReduceOp.SUM, tf.reduce_sum(tf.math.squared_difference(values, mean), axes))
        scale = self.gamma * tf.math.rsqrt(squares / voxels + self.epsilon)
        return tf.cast(values * scale + (self.beta - mean * scale), inputs.dtype)


def for_training(model: keras.Model) -> keras.Model:
    """The same network with fused batch normalisation; names and order of its variables stay."""

    def change(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer
        config = layer.get_config()
        return TrainingBatchNormalization(
            epsilon=config["epsilon"], name=config["name"], dtype=layer.dtype_policy, autocast=False
        )

    twin = clone(model, change)
    twin.set_weights(model.get_weights())
    return twin
