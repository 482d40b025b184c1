"""The losses see labelled voxels only. Gradients through whichever backend Keras runs on."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_unet3d.network.losses import soft_dice_loss, weighted_cross_entropy

LOSSES = [weighted_cross_entropy, soft_dice_loss]


def sample(labelled: float = 0.3, seed: int = 0):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((2, 4, 5, 6, 3)).astype(np.float32) * 3
    weight = rng.uniform(0.2, 3, (2, 4, 5, 6)).astype(np.float32) * (rng.random((2, 4, 5, 6)) < labelled)
    index = np.where(weight > 0, rng.integers(0, 3, weight.shape), 0).astype(np.int32)
    return index, weight.astype(np.float32), logits


def gradient(loss, index, weight, logits):
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: loss(index, weight, x))(logits))
    import tensorflow as tf

    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(index, weight, variable)
    return tape.gradient(value, variable).numpy()


def softmax(logits):
    exponent = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponent / exponent.sum(axis=-1, keepdims=True)


def test_cross_entropy_equals_numpy_in_float64():
    index, weight, logits = sample()
    chosen = np.take_along_axis(softmax(logits.astype(np.float64)), index[..., None], axis=-1)[..., 0]
    expected = (-np.log(chosen) * weight).sum() / weight.sum(dtype=np.float64)
    assert float(weighted_cross_entropy(index, weight, logits)) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_by_hand():
    """Two labelled voxels of weight 3 and 1, with probabilities of 1/2 and 1/4 for the truth."""
    logits = np.log(np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], np.float32)).reshape(1, 1, 1, 3, 2)
    index = np.array([0, 0, 0]).reshape(1, 1, 1, 3)
    weight = np.array([3, 1, 0], np.float32).reshape(1, 1, 1, 3)
    expected = (3 * np.log(2) + 1 * np.log(4)) / 4
    assert float(weighted_cross_entropy(index, weight, logits)) == pytest.approx(expected, rel=1e-6)


def test_dice_equals_numpy_over_labelled_voxels_of_present_classes():
    index, weight, logits = sample()
    labelled = weight > 0
    index[labelled & (index == 2)] = 1  # class 2 is absent
    probability = softmax(logits.astype(np.float64))[labelled]
    truth = np.eye(3)[index[labelled]]
    dice = 2 * (probability * truth).sum(0) / (probability.sum(0) + truth.sum(0))
    assert float(soft_dice_loss(index, weight, logits)) == pytest.approx(1 - dice[:2].mean(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_exactly_zero_at_unlabelled_voxels(loss):
    index, weight, logits = sample()
    found = gradient(loss, index, weight, logits)
    assert np.all(found[weight == 0] == 0)
    assert np.all(np.abs(found[weight > 0]).max(axis=-1) > 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_more_unlabelled_voxels_change_nothing(loss):
    index, weight, logits = sample()
    around = ((0, 0), (3, 1), (0, 4), (2, 2))
    more = loss(np.pad(index, around), np.pad(weight, around), np.pad(logits, (*around, (0, 0)), constant_values=9))
    assert float(more) == pytest.approx(float(loss(index, weight, logits)), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_any_label_loss_and_gradient_are_zero(loss):
    index, weight, logits = sample(labelled=0.0)
    assert float(loss(index, weight, logits)) == 0
    assert np.all(gradient(loss, index, weight, logits) == 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_scaling_all_weights_changes_nothing(loss):
    index, weight, logits = sample()
    assert float(loss(index, 7 * weight, logits)) == pytest.approx(float(loss(index, weight, logits)), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_confident_wrong_answer_stays_finite(loss):
    index, weight, logits = sample()
    found = float(ops.convert_to_numpy(loss(index, weight, logits * 1e4)))
    assert np.isfinite(found)
    assert np.all(np.isfinite(gradient(loss, index, weight, logits * 1e4)))
