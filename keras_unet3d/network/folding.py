"""Batch normalisation with frozen statistics, as part of the convolution before it.

Conv(x)·s + t, with the scale and the shift that moving statistics come to, is a convolution with the kernel times s
and the bias times s plus t: the same numbers to rounding, with less work and less memory.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_unet3d.network.clones import clone
from keras_unet3d.network.statistics import batch_normalizations, scale_and_shift


def folded(model: keras.Model) -> keras.Model:
    """Take the batch normalisations with their moving statistics into the convolutions before them.

    Args:
        model: a functional network of `build_unet3d`.

    Returns:
        A new model for inputs of any size, of the same layers without batch normalisation. Its variables are copies.

    Raises:
        ValueError: if a batch normalisation follows anything but a convolution.
    """
    after = {id(layer.input): layer for layer in batch_normalizations(model)}
    before = {id(layer.output) for layer in model.layers if isinstance(layer, keras.layers.Conv3D)}
    astray = [layer.name for key, layer in after.items() if key not in before]
    if astray:
        raise ValueError(f"Expected batch normalisations right after convolutions. Received: {', '.join(astray)}")

    without = clone(model, lambda layer: None if isinstance(layer, keras.layers.BatchNormalization) else layer)
    for layer in without.layers:
        original = model.get_layer(layer.name)
        weights = original.get_weights()
        if isinstance(original, keras.layers.Conv3D) and id(original.output) in after:
            weights = _scaled(weights, after[id(original.output)])
        layer.set_weights(weights)
    return without


def _scaled(weights: list[Any], normalization: keras.layers.BatchNormalization) -> list[Any]:
    kernel, bias = weights
    scale, shift = scale_and_shift(normalization, normalization.moving_mean, normalization.moving_variance)
    scale, shift = (np.asarray(ops.convert_to_numpy(each), np.float64) for each in (scale, shift))
    return [kernel * scale, bias * scale + shift]
