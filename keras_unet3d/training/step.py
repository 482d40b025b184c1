"""One training step: forward, loss, backward, update."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_unet3d.network.losses import soft_dice_loss, weighted_cross_entropy
from keras_unet3d.training.settings import OptimizerSettings


class StepResult(NamedTuple):
    """What a step tells: tensors, so that nothing waits until someone looks."""

    loss: Any
    gradient_norm: Any
    """Before clipping. Where it is not finite the weights are lost, unless float16's loss scaling skips the step."""
    confusion: Any
    """``(class, class)``: rows truth, columns prediction, of the labelled voxels."""


def build_optimizer(settings: OptimizerSettings, precision: str) -> keras.Optimizer:
    """Build the optimizer; float16 gets loss scaling, without which small gradients vanish."""
    clip = {"global_clipnorm": settings.clip_norm}
    match settings.name:
        case "adam":
            optimizer = keras.optimizers.Adam(settings.learning_rate, **clip)
        case "sgd":
            optimizer = keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum, **clip)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


class TrainingStep:
    """The step as one graph. No ``Model.fit``: the same step serves one device and, later, many.

    Args:
        model: returns logits.
        optimizer: its learning rate is set at every call.
        dice: how much soft Dice counts beside weighted cross entropy.
    """

    def __init__(self, model: keras.Model, optimizer: keras.Optimizer, dice: float) -> None:
        self._model = model
        self._optimizer = optimizer
        self._dice = dice
        optimizer.build(model.trainable_variables)
        self._graph = tf.function(self._step)

    def __call__(self, batch: tuple[Any, Any, Any], learning_rate: float) -> StepResult:
        """Learn from one batch of ``(image, class_index, weight)``."""
        return StepResult(*self._graph(*batch, tf.constant(learning_rate, tf.float32)))

    def _step(
        self, image: tf.Tensor, class_index: tf.Tensor, weight: tf.Tensor, learning_rate: tf.Tensor
    ) -> StepResult:
        optimizer = self._optimizer
        with tf.GradientTape() as tape:
            logits = self._model(image, training=True)
            loss = weighted_cross_entropy(class_index, weight, logits)
            if self._dice:
                loss += self._dice * soft_dice_loss(class_index, weight, logits)
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self._model.trainable_variables)
        optimizer.learning_rate.assign(learning_rate)
        optimizer.apply_gradients(zip(gradients, self._model.trainable_variables, strict=True))
        norm = tf.linalg.global_norm(gradients) / optimizer.scale_loss(tf.constant(1.0))
        return StepResult(loss, norm, _confusion(class_index, weight, logits))


def _confusion(class_index: tf.Tensor, weight: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labeled = tf.reshape(weight, [-1]) > 0
    truth = tf.boolean_mask(tf.reshape(class_index, [-1]), labeled)
    found = tf.boolean_mask(tf.reshape(tf.argmax(logits, axis=-1, output_type=tf.int32), [-1]), labeled)
    return tf.math.confusion_matrix(truth, found, num_classes=logits.shape[-1], dtype=tf.int64)
