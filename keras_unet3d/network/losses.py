"""Losses that see labelled voxels only (Çiçek et al. 2016, sections 2 and 3.2).

An unlabelled voxel has the class index 0, because an index without a class is an error on some devices even at weight
0, and the weight 0, which is what keeps it out of every sum.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

Total = Callable[[Any], Any]
"""From the sum over what this device holds of a batch to that over all devices. Its gradient is the identity: each
device finds its own part of the gradient, and the parts add up to the gradient of the whole batch."""


def _alone(total: Any) -> Any:
    return total


def weighted_cross_entropy(class_index: Any, weight: Any, logits: Any, total: Total = _alone) -> Any:
    """Softmax cross entropy, weighted per voxel and divided by the sum of the weights.

    The value does not change when unlabelled voxels are added around the same labelled ones, and the gradient at an
    unlabelled voxel is exactly 0. Weights that sum to 0 give a loss and gradients of 0.

    Args:
        class_index: integers ``(batch, z, y, x)``, 0 where unlabelled.
        weight: float ``(batch, z, y, x)``, 0 where unlabelled.
        logits: ``(batch, z, y, x, class)``.
        total: adds up over the devices that share the batch.

    Returns:
        A float32 scalar.
    """
    logits = ops.cast(logits, "float32")
    chosen = ops.one_hot(class_index, ops.shape(logits)[-1], dtype="float32")
    log_probability = ops.sum(chosen * ops.log_softmax(logits, axis=-1), axis=-1)
    return _divide(total(ops.sum(-log_probability * weight)), total(ops.sum(weight)))


def soft_dice_loss(class_index: Any, weight: Any, logits: Any, total: Total = _alone) -> Any:
    """One minus the mean soft Dice of the classes that the labelled voxels of the batch contain.

    The mask is applied after the softmax, inside every sum; masked logits would become probabilities of 1/C that fill
    the denominator. Weights count only as 0 or not: Dice balances the classes by itself (Milletari et al. 2016).

    Args:
        class_index: integers ``(batch, z, y, x)``, 0 where unlabelled.
        weight: float ``(batch, z, y, x)``, 0 where unlabelled.
        logits: ``(batch, z, y, x, class)``.
        total: adds up over the devices that share the batch.

    Returns:
        A float32 scalar between 0 and 1; 0 where nothing is labelled.
    """
    mask = ops.expand_dims(ops.cast(weight > 0, "float32"), -1)
    probability = ops.softmax(ops.cast(logits, "float32"), axis=-1) * mask
    truth = ops.one_hot(class_index, ops.shape(logits)[-1], dtype="float32") * mask
    voxels = tuple(range(len(logits.shape) - 1))
    both = total(ops.sum(probability * truth, axis=voxels))
    count = total(ops.sum(truth, axis=voxels))
    either = total(ops.sum(probability, axis=voxels)) + count
    present = ops.cast(count > 0, "float32")
    missed = present * (1.0 - _divide(2.0 * both, either))
    return _divide(ops.sum(missed), ops.sum(present))


def _divide(numerator: Any, denominator: Any) -> Any:
    """The quotient, and 0 with a gradient of 0 where the denominator is 0."""
    empty = denominator == 0
    return ops.where(empty, 0.0, numerator / ops.where(empty, 1.0, denominator))
