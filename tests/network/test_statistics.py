"""Batch normalisation at test time."""

import keras
import numpy as np

from keras_unet3d.network.statistics import batch_normalizations, with_current_statistics
from keras_unet3d.network.unet import build_unet3d


def network() -> keras.Model:
    model = build_unet3d((None, None, None, 1), 3, filters=4, depth=1, padding="same")
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if "gamma" in variable.name or "beta" in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def test_current_statistics_are_those_of_training_with_a_batch_of_one():
    model = network()
    tile = np.random.default_rng(1).standard_normal((1, 8, 12, 10, 1), dtype=np.float32) * 3 + 7
    current = keras.ops.convert_to_numpy(with_current_statistics(model)(tile))
    trained = keras.ops.convert_to_numpy(model(tile, training=True))
    assert trained.std() > 0.1
    np.testing.assert_allclose(current, trained, atol=2e-5)


def test_current_statistics_normalise_every_tile_of_a_batch_by_itself():
    model = with_current_statistics(network())
    tiles = np.random.default_rng(2).standard_normal((2, 8, 8, 8, 1), dtype=np.float32)
    tiles[1] = 100 * tiles[1] + 5
    together = keras.ops.convert_to_numpy(model(tiles))
    alone = np.concatenate([keras.ops.convert_to_numpy(model(tile[None])) for tile in tiles])
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_calling_the_network_changes_no_variable():
    model = network()
    tile = np.random.default_rng(3).standard_normal((1, 8, 8, 8, 1), dtype=np.float32)
    for called in (model, with_current_statistics(model)):
        before = [keras.ops.convert_to_numpy(variable).copy() for variable in called.variables]
        called(tile, training=False)
        for variable, value in zip(called.variables, before, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


def test_batch_normalizations_come_in_the_order_of_the_network():
    names = [layer.name for layer in batch_normalizations(network())]
    assert names == ["down0a_norm", "down0b_norm", "bottom_a_norm", "bottom_b_norm", "up0a_norm", "up0b_norm"]
