"""Batch normalisation at test time (Çiçek et al. 2016, section 2).

Moving statistics are moments collected in training; current ones are those of the tile itself, the paper's choice.
"""

from typing import Any

import keras
from keras import ops

from keras_unet3d.network.clones import clone


def with_current_statistics(model: keras.Model) -> keras.Model:
    """Replace every batch normalisation by one over the current tile, with the same scale and offset.

    One sample normalised by its own moments is what ``BatchNormalization(training=True)`` does with a batch of one;
    here it is a layer without moving moments, so that a call can change nothing.

    Args:
        model: a functional network of `build_unet3d`.

    Returns:
        A new model for inputs of any size. Its variables are copies.
    """

    def change(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.BatchNormalization):
            return keras.layers.GroupNormalization(-1, epsilon=layer.epsilon, name=layer.name)
        return layer

    current = clone(model, change)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            weights = weights[:2]  # gamma and beta; the moving mean and variance stay behind
        current.get_layer(layer.name).set_weights(weights)
    return current


def batch_normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The batch normalisations of a model, in the order in which it applies them."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def tile_normalizations(model: keras.Model) -> list[keras.layers.GroupNormalization]:
    """The normalisations by the statistics of what they are given, in the order in which a model applies them."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.GroupNormalization)]


def scale_and_shift(layer: keras.layers.Layer, mean: Any, variance: Any) -> tuple[Any, Any]:
    """The factor and the summand per channel that a normalisation with given moments comes to."""
    scale = layer.gamma * ops.rsqrt(variance + layer.epsilon)
    return scale, layer.beta - mean * scale
