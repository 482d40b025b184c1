"""Fused batch normalisation is batch normalisation."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.training.moments import MomentCollector
from keras_unet3d.training.normalization import for_training


@pytest.fixture(scope="module")
def both():
    """A network of Keras' own layers, and its twin."""
    model = build_unet3d((None, None, None, 2), 3, filters=8, depth=1, padding="same", seed=4)
    rng = np.random.default_rng(4)
    for variable in model.variables:
        if variable.ndim == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model, for_training(model)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).normal(3, 2, (2, 12, 8, 16, 2)).astype(np.float32)


def test_the_twin_has_the_same_variables(both):
    usual, twin = both
    assert [each.path for each in twin.variables] == [each.path for each in usual.variables]
    for a, b in zip(usual.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_outputs_and_gradients_are_those_of_keras(both, image):
    found = []
    factors = np.random.default_rng(2).standard_normal((*image.shape[:-1], 3)).astype(np.float32)
    for model in both:
        with tf.GradientTape() as tape:
            logits = model(image, training=True)
            loss = tf.reduce_sum(logits * factors)
        found.append((logits, tape.gradient(loss, model.trainable_variables)))
    (logits, gradients), (ours, our_gradients) = found
    np.testing.assert_allclose(ours, logits, atol=1e-3 * np.abs(logits).max())
    for variable, a, b in zip(both[0].trainable_variables, gradients, our_gradients, strict=True):
        if variable.path.endswith("bias") and "logits" not in variable.path:
            continue  # of a bias before a normalisation the gradient is 0, and what is found is rounding
        np.testing.assert_allclose(b, a, atol=2e-3 * np.abs(a).max(), err_msg=variable.path)


def test_a_step_leaves_the_moving_statistics_alone_and_the_collector_sets_them(both, image):
    usual, twin = both
    before = twin.get_weights()
    twin(image, training=True)
    for a, b in zip(before, twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for model in both:
        MomentCollector(model)([image, 2 * image])
    for variable, a, b in zip(usual.variables, usual.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4, err_msg=variable.path)
    np.testing.assert_allclose(
        twin(image, training=False), usual(image, training=False), atol=1e-2 * np.abs(usual(image)).max()
    )
