"""One training step: forward, loss, backward, update. The same for one device and for many."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_unet3d.network.losses import soft_dice_loss, weighted_cross_entropy
from keras_unet3d.training.crew import Crew
from keras_unet3d.training.forward import training_forward
from keras_unet3d.training.resolved import ResolvedOptimizer
from keras_unet3d.training.tile_images import with_images


class StepResult(NamedTuple):
    """What a step tells: tensors, so that nothing waits until someone looks."""

    loss: Any
    gradient_norm: Any
    """Before clipping. Where it is not finite the weights are lost, unless float16's loss scaling skips the step."""
    confusion: Any
    """``(class, class)``: rows truth, columns prediction, of the labelled voxels."""


def build_optimizer(settings: ResolvedOptimizer, precision: str) -> keras.Optimizer:
    """Build the optimizer; float16 gets loss scaling, without which small gradients vanish."""
    match settings.name:
        case "adam":
            optimizer = keras.optimizers.Adam(settings.learning_rate)
        case "sgd":
            optimizer = keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


class TrainingStep:
    """The step as one graph. No ``Model.fit``: it does not accumulate gradients over several devices.

    Args:
        model: returns logits; made in the scope of the crew's strategy, as the optimizer.
        optimizer: its learning rate is set at every call.
        dice: how much soft Dice counts beside weighted cross entropy.
        clip_norm: gradients longer than this are shortened to it.
        parts: that the batch of a device is computed in, one after the other; their gradients add up. Batch
            normalisation and soft Dice are those of each part.
        recompute: whether to compute again what memory does not hold; see `training_forward`.
        crew: the devices that share a batch.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        dice: float,
        clip_norm: float = float("inf"),
        *,
        parts: int = 1,
        recompute: bool = False,
        crew: Crew | None = None,
    ) -> None:
        self._model = model
        self._forward = training_forward(model, recompute=recompute)
        self._optimizer = optimizer
        self._dice, self._clip_norm = dice, clip_norm
        self._parts = parts
        self._crew = crew or Crew()
        with self._crew.strategy.scope():
            optimizer.build(model.trainable_variables)
        self._graph = tf.function(self._step, autograph=False)

    def __call__(self, batch: Sequence[Any], learning_rate: float) -> StepResult:
        """Learn from one batch of ``(image, class_index, weight)``: the part of it that this process holds.

        Where it has `TileInputs` instead of images, each device makes the images of its share first.

        Returns:
            What came of the whole batch.

        Raises:
            WorkError: if another worker is gone.
        """
        rate = tf.constant(learning_rate, tf.float32)
        return StepResult(*self._crew.guarded(lambda: self._graph(self._crew.spread(batch, with_images), rate)))

    def _step(self, batch: Any, learning_rate: tf.Tensor) -> tuple[Any, ...]:
        self._optimizer.learning_rate.assign(learning_rate)
        if self._crew.devices == 1:
            return self._learn(*batch)
        results = self._crew.strategy.run(self._learn, batch)
        return tuple(self._crew.strategy.experimental_local_results(each)[0] for each in results)

    def _learn(self, image: tf.Tensor, class_index: tf.Tensor, weight: tf.Tensor) -> tuple[Any, ...]:
        """On one device."""
        gradients, loss, confusion = self._gradients(image, class_index, weight)
        gradients, confusion = _over_devices(gradients), _over_devices(confusion)
        scale = self._optimizer.scale_loss(tf.constant(1.0))
        scaled_norm = tf.linalg.global_norm(gradients)
        if self._clip_norm < float("inf"):
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm * scale, scaled_norm)
        # The optimizer adds up over the devices what is the same on all of them already.
        shares = [gradient / self._crew.devices for gradient in gradients] if self._crew.devices > 1 else gradients
        self._optimizer.apply_gradients(zip(shares, self._model.trainable_variables, strict=True))
        return loss, scaled_norm / scale, confusion

    def _gradients(self, image: tf.Tensor, class_index: tf.Tensor, weight: tf.Tensor) -> tuple[Any, Any, Any]:
        """Of this device's share of the batch, part by part; with the loss of the whole batch."""
        if self._parts == 1:
            return self._of_part(image, class_index, weight, tf.constant(1.0), tf.constant(1.0))
        tiles = image.shape[0] // self._parts
        weights = _total(tf.reduce_sum(weight))
        gradients: list[Any] = []
        loss, confusion = tf.constant(0.0), tf.constant(0, tf.int64)
        for number in range(self._parts):  # no loop of the graph: devices cannot add up within one
            some = slice(number * tiles, (number + 1) * tiles)
            share = tf.math.divide_no_nan(_total(tf.reduce_sum(weight[some])), weights)
            with tf.control_dependencies(gradients):  # each part when the memory of the one before is free
                part = [tf.identity(values[some]) for values in (image, class_index, weight)]
            image_part, class_part, weight_part = part
            found, its_loss, its_confusion = self._of_part(
                image_part, class_part, weight_part, share, tf.constant(1.0 / self._parts)
            )
            gradients = [a + b for a, b in zip(gradients, found, strict=True)] if gradients else list(found)
            loss, confusion = loss + its_loss, confusion + its_confusion
        return gradients, loss, confusion

    def _of_part(
        self, image: tf.Tensor, class_index: tf.Tensor, weight: tf.Tensor, share: tf.Tensor, dice_share: tf.Tensor
    ) -> tuple[Any, Any, Any]:
        """Gradients and loss of some tiles.

        Args:
            image: ``(batch, z, y, x, channel)``.
            class_index: ``(batch, z, y, x)``.
            weight: ``(batch, z, y, x)``.
            share: what their cross entropy counts.
            dice_share: what their soft Dice counts.
        """
        with tf.GradientTape() as tape:
            logits = self._forward(image)
            loss = share * weighted_cross_entropy(class_index, weight, logits, _total)
            if self._dice:
                loss += dice_share * self._dice * soft_dice_loss(class_index, weight, logits, _total)
            scaled = self._optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self._model.trainable_variables)
        return gradients, loss, _confusion(class_index, weight, logits)


def _total(here: Any) -> Any:
    """Over the devices of the batch; the gradient is that of this device's own part."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return here
    fixed = tf.stop_gradient(here)
    return _over_devices(fixed) + (here - fixed)


def _over_devices(values: Any) -> Any:
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def _confusion(class_index: tf.Tensor, weight: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labeled = tf.reshape(weight, [-1]) > 0
    truth = tf.boolean_mask(tf.reshape(class_index, [-1]), labeled)
    found = tf.boolean_mask(tf.reshape(tf.argmax(logits, axis=-1, output_type=tf.int32), [-1]), labeled)
    return tf.math.confusion_matrix(truth, found, num_classes=logits.shape[-1], dtype=tf.int64)
