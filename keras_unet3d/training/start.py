"""Fine-tuning: a training that begins with the weights of an exported model, perhaps of other channels and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.network.unet import EPSILON
from keras_unet3d.serving.description import read_description
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.training.known import Places
from keras_unet3d.training.settings import Settings
from keras_unet3d.volumes.axes import named

_INPUT_AXIS, _OUTPUT_AXIS = -2, -1
"""Of a kernel ``(z, y, x, input, output)``."""


@dataclass(frozen=True, eq=False)
class Start:
    """What a training begins with.

    Attributes:
        network: as a `LoadedModel` has it: frozen statistics are part of its convolutions.
        channels: for each channel of the images, which of the network's it is; None for a new one.
        classes: for each class, which of the network's it is; None for a new one.
    """

    network: keras.Model
    channels: Places
    classes: Places


def with_network_of_start(settings: Settings) -> Settings:
    """The settings with the network of the model that training begins with.

    Raises:
        InputError: if it is no model, or one of several networks, or the settings name another network.
    """
    if settings.start is None:
        return settings
    folder = version_folder(settings.start)
    description = read_description(folder)
    if description.members > 1:
        raise InputError(
            f"{folder}: is the mean of {description.members} networks; training begins with the weights of one. Name a "
            "model of one network."
        )
    theirs = {
        "filters": description.filters,
        "depth": description.geometry.depth,
        "padding": description.geometry.padding,
        "unpooled": description.geometry.unpooled,
        "dimensions": description.geometry.dimensions,
        "normalization": description.normalization or "none",
        "statistics": description.statistics,
    }
    network = settings.network
    for name in network.model_fields_set - {"statistics"}:
        ours = getattr(network, name)
        if ours not in (None, theirs[name]):
            raise InputError(
                f"network.{name} = {_shown(ours)}, but the model to begin with, {folder}, has {_shown(theirs[name])}. "
                f"Leave network.{name} out, or begin without a model."
            )
    kept = {"statistics": network.statistics} if "statistics" in network.model_fields_set else {}
    changed = network.model_copy(update={**theirs, **kept})
    return settings.model_copy(update={"network": changed, "start": str(folder)})


def begin_with(start: Start, model: keras.Model, images: NDArray[np.float32]) -> None:
    """Give a network the weights that another has learned; what that one does not know keeps its own.

    A frozen normalisation is part of the convolution before it. Where the network has a normalisation of batches there,
    its scale and offset become what undoes it on some images, so that training begins with the outputs of the model.

    Args:
        start: what to begin with.
        model: of the same filters, depth, padding and pooled axes.
        images: tiles as training will see them, ``(batch, z, y, x, channel)``.
    """
    known: dict[int, Any] = {id(model.input): ops.convert_to_tensor(images)}
    names = {layer.name for layer in start.network.layers}
    first = next(layer for layer in model.layers if layer.weights)
    for layer in model.layers[1:]:
        source = start.network.get_layer(layer.name) if layer.name in names else None
        values = [known[id(each)] for each in _inputs(layer)]
        if isinstance(layer, layers.BatchNormalization):
            known[id(layer.output)] = _begin_normalization(layer, source, values[0])
            continue
        if source is not None and layer.weights:
            _take_over(
                layer,
                source,
                start.channels if layer is first else None,
                start.classes if layer.output is model.output else None,
            )
        known[id(layer.output)] = layer(values if len(values) > 1 else values[0])


def _begin_normalization(layer: layers.BatchNormalization, source: keras.layers.Layer | None, values: Any) -> Any:
    """What comes of some values, with the scale and offset of the source, or those that change nothing of them."""
    if source is not None:
        for variable, learned in zip((layer.gamma, layer.beta), source.weights, strict=True):
            variable.assign(learned)
        return layer(values, training=True)
    mean, variance = ops.moments(ops.cast(values, "float32"), axes=list(range(len(values.shape) - 1)))
    layer.gamma.assign(ops.sqrt(variance + EPSILON))
    layer.beta.assign(mean)
    return values


def _take_over(
    layer: keras.layers.Layer,
    source: keras.layers.Layer,
    channels: Sequence[int | None] | None,
    classes: Sequence[int | None] | None,
) -> None:
    for variable, learned in zip(layer.weights, source.weights, strict=True):
        value, new = learned.numpy(), variable.numpy()
        if channels is not None and value.ndim > 1:
            value = _picked(value, new, channels, _INPUT_AXIS)
        if classes is not None:
            value = _picked(value, new, classes, _OUTPUT_AXIS)
        variable.assign(value)


def _picked(value: Any, new: Any, numbers: Sequence[int | None], axis: int) -> Any:
    """Along an axis what is known, and the new values where nothing is."""
    known, fresh = np.moveaxis(value, axis, 0), np.moveaxis(new, axis, 0)
    rows = [known[number] if number is not None else fresh[at] for at, number in enumerate(numbers)]
    return np.stack(rows, axis)


def _shown(value: Any) -> str:
    return repr(named(value) if isinstance(value, tuple) else value)


def _inputs(layer: keras.layers.Layer) -> list[Any]:
    return layer.input if isinstance(layer.input, list) else [layer.input]
