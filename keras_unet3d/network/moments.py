"""A network whose normalisations are told which moments to use, instead of taking those of the tile.

Plain Keras, so that it runs on every backend, and inside graphs whose sizes are not known.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_unet3d.network.statistics import scale_and_shift

ChooseMoments = Callable[[keras.layers.GroupNormalization, Any], tuple[Any, Any]]
"""Gives the mean and the variance of each channel for a normalisation and the features that it is to normalise."""


def computed(model: keras.Model, tile: Any, moments: ChooseMoments, until: str | None = None) -> Any:
    """Compute a network with given moments.

    Args:
        model: functional, of built-in layers; every normalisation that takes the statistics of its input is a
            `GroupNormalization`.
        tile: normalised ``(batch, z, y, x, channel)``.
        moments: asked at each of those, in the order of the network.
        until: the name of the normalisation whose input is wanted; only what leads to it is computed.

    Returns:
        Logits, or that input.
    """
    known = {id(model.input): tile}
    made_by = {id(layer.output): layer for layer in model.layers}

    def value(tensor: Any) -> Any:
        if id(tensor) not in known:
            layer = made_by[id(tensor)]
            inputs: Any = [value(each) for each in layer.input] if isinstance(layer.input, list) else value(layer.input)
            if isinstance(layer, keras.layers.GroupNormalization):
                scale, shift = scale_and_shift(layer, *moments(layer, inputs))
                known[id(tensor)] = inputs * ops.cast(scale, inputs.dtype) + ops.cast(shift, inputs.dtype)
            else:
                known[id(tensor)] = layer(inputs)
        return known[id(tensor)]

    return value(model.output if until is None else model.get_layer(until).input)


def shared_in_groups(layer: keras.layers.GroupNormalization, mean: Any, variance: Any) -> tuple[Any, Any]:
    """The moments of each channel's group, from those of the channels, all of as many voxels.

    The variance of a group is the mean of its channels' variances and the variance of their means.

    Args:
        layer: says which channels share their moments.
        mean: ``(channel,)``.
        variance: ``(channel,)``.

    Returns:
        Mean and variance ``(channel,)``, the same for all channels of a group.
    """
    channels = mean.shape[0]
    groups = channels if layer.groups == -1 else layer.groups
    means = ops.reshape(mean, (groups, channels // groups))
    group_mean = ops.mean(means, axis=1, keepdims=True)
    within = ops.mean(ops.reshape(variance, means.shape), axis=1, keepdims=True)
    group_variance = within + ops.mean(ops.square(means - group_mean), axis=1, keepdims=True)
    return tuple(ops.reshape(ops.broadcast_to(each, means.shape), (channels,)) for each in (group_mean, group_variance))
