"""Moments of batch normalisation, against those computed by hand."""

import keras
import numpy as np
import pytest

from keras_unet3d.network.statistics import batch_normalizations
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.training.moments import MomentCollector


@pytest.fixture
def images():
    rng = np.random.default_rng(1)
    return [rng.normal(rng.uniform(-1, 1), 2, (2, 8, 8, 8, 1)).astype(np.float32) for _ in range(4)]


def tiny(normalization="batch"):
    return build_unet3d(
        (None, None, None, 1), 2, filters=2, depth=1, padding="same", normalization=normalization, seed=0
    )


def test_the_first_layers_moments_are_those_of_all_tiles(images):
    """E[x] is the mean of the batches' means, Var[x] = E[var + mean²] − E[x]²: batches of one size, as one batch."""
    model = tiny()
    MomentCollector(model)(images)
    convolved = keras.Model(model.input, model.get_layer("down0a_conv").output)(np.concatenate(images)).numpy()
    first = model.get_layer("down0a_norm")
    np.testing.assert_allclose(first.moving_mean.numpy(), convolved.mean(axis=(0, 1, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance.numpy(), convolved.var(axis=(0, 1, 2, 3)), rtol=1e-4)


def test_deeper_layers_see_tiles_normalised_by_their_own_moments(images):
    """With a single batch, the model in inference then gives what it gives in training."""
    model = tiny()
    MomentCollector(model)(images[:1])
    settled = model(images[0], training=False).numpy()
    np.testing.assert_allclose(settled, model(images[0], training=True).numpy(), rtol=1e-3, atol=1e-4)


def test_weights_and_momentum_stay_and_a_second_time_changes_nothing(images, random_network):
    model = random_network(filters=2, depth=1, padding="same")
    weights = [variable.numpy() for variable in model.trainable_variables]
    momenta = [layer.momentum for layer in batch_normalizations(model)]
    collect = MomentCollector(model)
    collect(images)
    moments = [variable.numpy() for variable in model.non_trainable_variables]
    collect(images)
    for variable, before in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)
    for variable, before in zip(model.non_trainable_variables, moments, strict=True):
        np.testing.assert_allclose(variable.numpy(), before, rtol=1e-5, atol=1e-6)
    assert [layer.momentum for layer in batch_normalizations(model)] == momenta
    assert 0 not in momenta


@pytest.mark.parametrize("normalization", ["instance", None])
def test_without_batch_normalisation_nothing_is_computed(normalization):
    model = tiny(normalization)
    before = model.get_weights()
    MomentCollector(model)(pytest.fail("an image was asked for") for _ in range(1))
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
