"""The variables of a served model, by layer and name, and the Keras networks that they are the weights of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from keras_unet3d.errors import InputError
from keras_unet3d.network.unet import Normalization, build_unet3d
from keras_unet3d.serving.description import ModelDescription

CHECKPOINT = Path("variables", "variables")

_KERNEL_AXES = 5


def named_variables(network: Any) -> dict[str, dict[str, Any]]:
    """Layer → name → variable: what a module holds as ``weights``."""
    return {
        layer.name: {variable.name: variable.value for variable in layer.variables}
        for layer in network.layers
        if layer.variables
    }


def members_variables(networks: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The `named_variables` of one network; of several, those of each by its number, from ``"1"`` on."""
    if len(networks) == 1:
        return named_variables(networks[0])
    return {str(number): named_variables(network) for number, network in enumerate(networks, 1)}


def read_networks(folder: Path, description: ModelDescription) -> list[Any]:
    """Build the networks that a description names, each as `read_network` does."""
    if description.members == 1:
        return [read_network(folder, description)]
    return [read_network(folder, description, f"weights/{number}") for number in range(1, description.members + 1)]


def read_network(folder: Path, description: ModelDescription, weights: str = "weights") -> Any:
    """Build a network that a description names, with the variables of its SavedModel, running no graph.

    Args:
        folder: of a version.
        description: of that version.
        weights: where the variables of this network lie among those of the SavedModel.

    Returns:
        A Keras model from normalised ``(batch, z, y, x, channel)`` of any valid size to logits. Frozen statistics are
        part of its convolutions; those of the tile are normalisations by layer (`GroupNormalization`).

    Raises:
        InputError: if the variables are damaged, or those of another network.
    """
    import tensorflow as tf

    with explained(folder):
        checkpoint = tf.train.load_checkpoint(str(folder / CHECKPOINT))
        shapes = checkpoint.get_variable_to_shape_map()
    held = sum(prod(shape) for shape in shapes.values() if len(shape) == _KERNEL_AXES)
    expected = description.members * description.size.weights
    if held != expected:  # before anything of that size is made
        raise InputError(
            f"{folder}: its variables are kernels of {held} numbers together, the network that it describes has "
            f"{expected}. Export the model again."
        )
    network = build_unet3d(
        (None, None, None, len(description.channels)),
        len(description.classes),
        filters=description.filters,
        depth=description.geometry.depth,
        padding=description.geometry.padding,
        unpooled=description.geometry.unpooled,
        dimensions=description.geometry.dimensions,
        normalization=_served_normalization(description),
        initial="zeros",
    )
    for layer, variables in named_variables(network).items():
        for name, variable in variables.items():
            key = f"{weights}/{layer}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
            if shapes.get(key) != list(variable.shape):
                raise InputError(
                    f"{folder}: the network that it describes has a {name} {tuple(variable.shape)} in {layer}, its "
                    f"variables {tuple(shapes[key]) if key in shapes else 'none'}. Export the model again."
                )
            with explained(folder):
                variable.assign(checkpoint.get_tensor(key))
    return network


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what TensorFlow raises about a damaged model into a sentence.

    Raises:
        InputError: instead.
    """
    import tensorflow as tf

    try:
        yield
    except (OSError, ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"{folder}: could not be loaded: {reason}. Export the model again.") from error


def _served_normalization(description: ModelDescription) -> Normalization:
    """What a network holds once frozen statistics are folded and current ones are its own."""
    if description.normalization == "batch":
        return "instance" if description.statistics == "current" else None
    return description.normalization
