"""A network without its batch normalisations gives what it gave with them."""

import keras
import numpy as np
import pytest

from keras_unet3d.network.folding import folded
from keras_unet3d.network.sizes import AxisGeometry
from keras_unet3d.network.unet import build_unet3d


def with_random_statistics(model: keras.Model) -> keras.Model:
    """Scales of both signs, and means and variances as far from 0 and 1 as those of trained networks."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.01, 4, variable.shape))
        elif variable.ndim == 1:
            variable.assign(rng.normal(0, 2, variable.shape))
    return model


def called(model: keras.Model, tile: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(tile, training=False))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_same_to_rounding_with_scales_of_either_sign(padding, depth):
    model = with_random_statistics(
        build_unet3d((None, None, None, 2), 3, filters=4, depth=depth, padding=padding, seed=1)
    )
    assert min(variable.numpy().min() for variable in model.variables if variable.path.endswith("gamma")) < -0.5
    n = AxisGeometry(padding, depth).minimum
    tile = np.random.default_rng(1).standard_normal((2, n, n + 2**depth, n, 2), dtype=np.float32)
    expected = called(model, tile)
    assert expected.std() > 0.1
    np.testing.assert_allclose(called(folded(model), tile), expected, atol=2e-5 * np.abs(expected).max())


def test_the_layers_are_those_of_a_network_built_without_normalisation():
    model = folded(build_unet3d((20, 20, 20, 1), 2, filters=2, depth=1))
    plain = build_unet3d((None, None, None, 1), 2, filters=2, depth=1, normalization=None)
    assert [layer.name for layer in model.layers] == [layer.name for layer in plain.layers]
    assert [variable.path for variable in model.variables] == [variable.path for variable in plain.variables]
    assert model.output_shape == plain.output_shape == (None, None, None, None, 2)


def test_the_2d_network_is_folded_too():
    model = with_random_statistics(build_unet3d((None, None, None, 1), 2, filters=4, depth=1, dimensions=2, seed=2))
    tile = np.random.default_rng(2).standard_normal((1, 2, 22, 26, 1), dtype=np.float32)
    np.testing.assert_allclose(called(folded(model), tile), called(model, tile), atol=1e-4)


def test_variables_are_copies_and_the_network_stays_as_it_was():
    model = with_random_statistics(build_unet3d((None, None, None, 1), 2, filters=2, depth=1))
    before = model.get_weights()
    without = folded(model)
    for variable in without.variables:
        variable.assign(np.zeros(variable.shape))
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_without_batch_normalisation_nothing_changes():
    model = build_unet3d((None, None, None, 1), 2, filters=8, depth=1, normalization="group", seed=3)
    tile = np.random.default_rng(3).standard_normal((1, 18, 18, 18, 1), dtype=np.float32)
    np.testing.assert_array_equal(called(folded(model), tile), called(model, tile))


def test_a_normalisation_that_follows_no_convolution_is_named():
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="alone")(keras.layers.ReLU()(inputs)))
    with pytest.raises(ValueError, match="alone"):
        folded(model)
