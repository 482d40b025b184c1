"""The same network with some of its layers changed, for inputs of any size."""

from collections.abc import Callable
from typing import Any

import keras


def clone(
    model: keras.Model, change: Callable[[keras.layers.Layer], keras.layers.Layer | None] = lambda layer: layer
) -> keras.Model:
    """Build a functional network anew, with other variables that hold nothing yet.

    Args:
        model: a functional network of `build_unet3d`.
        change: gives the layer that takes the place of one, None to leave it out, or the layer itself where nothing
            changes.

    Returns:
        A model of the same layer names whose spatial sizes are None.
    """

    def another(layer: keras.layers.Layer) -> keras.layers.Layer:
        changed = change(layer)
        if changed is not None and changed is not layer:
            return changed
        config = layer.get_config()
        if "kernel_initializer" in config:
            config["kernel_initializer"] = "zeros"  # to draw numbers that are replaced takes a second
        return layer.__class__.from_config(config)

    def call(layer: keras.layers.Layer, *inputs: Any, **_mask: Any) -> Any:
        return inputs[0] if change(model.get_layer(layer.name)) is None else layer(*inputs)

    *sizes, channels = model.input_shape[1:]
    inputs = keras.Input((*(None for _ in sizes), channels), name=model.layers[0].name)
    return keras.models.clone_model(model, inputs, clone_function=another, call_function=call)
