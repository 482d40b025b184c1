"""A network that is told its moments."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_unet3d.network.moments import computed, shared_in_groups
from keras_unet3d.network.statistics import tile_normalizations
from keras_unet3d.network.unet import build_unet3d


@pytest.fixture(params=["group", "instance"])
def model(request, random_network):
    return random_network(2, filters=4, depth=2, padding="same", normalization=request.param)


TILE = np.random.default_rng(0).standard_normal((1, 8, 12, 16, 2), dtype=np.float32)


def of_the_tile(layer, features):
    channels = ops.convert_to_numpy(features).astype(np.float64)
    return shared_in_groups(layer, channels.mean((0, 1, 2, 3)), channels.var((0, 1, 2, 3)))


def test_told_the_moments_of_the_tile_it_gives_what_its_layers_give(model):
    found = ops.convert_to_numpy(computed(model, TILE, of_the_tile))
    expected = ops.convert_to_numpy(model(TILE))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_it_is_asked_in_order_and_stops_at_the_features_that_are_wanted(model):
    names = [layer.name for layer in tile_normalizations(model)]
    asked = []

    def moments(layer, features):
        asked.append(layer.name)
        return np.zeros(features.shape[-1]), np.ones(features.shape[-1])

    computed(model, TILE, moments)
    assert asked == names
    asked.clear()
    features = computed(model, TILE, moments, until="down1b_norm")
    assert asked == ["down0a_norm", "down0b_norm", "down1a_norm"]
    assert features.shape == (1, 4, 6, 8, 16)


def test_all_channels_of_a_group_share_its_moments():
    layer = keras.layers.GroupNormalization(2)
    mean, variance = shared_in_groups(layer, np.array([1.0, 3.0, 10.0, 10.0]), np.array([1.0, 2.0, 0.0, 4.0]))
    # (1 + 2) / 2 within and ((1 - 2)² + (3 - 2)²) / 2 between.
    assert ops.convert_to_numpy(mean).tolist() == [2, 2, 10, 10]
    assert ops.convert_to_numpy(variance).tolist() == [2.5, 2.5, 2, 2]


def test_each_channel_of_an_instance_normalisation_keeps_its_own():
    mean, variance = shared_in_groups(keras.layers.GroupNormalization(-1), np.array([1.0, 3.0]), np.array([4.0, 5.0]))
    assert ops.convert_to_numpy(mean).tolist() == [1, 3]
    assert ops.convert_to_numpy(variance).tolist() == [4, 5]


def test_unwanted_layers_are_not_computed():
    model = build_unet3d((None, None, None, 1), 2, filters=2, depth=1, padding="same", normalization="instance")
    model.get_layer("bottom_a_conv").call = None  # would fail
    tile = np.ones((1, 2, 2, 2, 1), np.float32)
    features = computed(model, tile, lambda *_: (np.zeros(2), np.ones(2)), until="down0b_norm")
    assert features.shape == (1, 2, 2, 2, 4)
