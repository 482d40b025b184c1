"""A model in its folder: its networks, and what its graph answers, needing nothing but that folder."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.serving.description import ModelDescription, read_description
from keras_unet3d.serving.versions import version_folder


class LoadedModel:
    """An exported model, checked.

    Attributes:
        path: the folder of the version.
        description: what the model is.
        networks: Keras models from normalised ``(batch, z, y, x, channel)`` of any valid size to logits, with the
            variables of the SavedModel; the model gives the mean of their probabilities.
    """

    def __init__(self, path: Path, description: ModelDescription, *networks: Any) -> None:
        """Take what `load_model` read."""
        self.path = path
        self.description = description
        self.networks = networks

    @property
    def network(self) -> Any:
        """The network of a model that has one.

        Raises:
            ValueError: if it has several.
        """
        if len(self.networks) != 1:
            raise ValueError(f"{self.path} is the mean of {len(self.networks)} networks; take them from `networks`.")
        return self.networks[0]

    @property
    def geometry(self) -> Geometry:
        """Which tiles the model takes and what it returns."""
        return self.description.geometry.geometry

    @property
    def size(self) -> NetworkSize:
        """What decides how much each network computes and holds."""
        return self.description.size

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.description.classes)

    def probabilities(self, tiles: NDArray[np.float32], intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities ``(batch, z, y, x, class)`` of raw tiles, from ``serving_default``."""
        return self.ask("serving_default", image=tiles, intensity=intensity)["probabilities"]

    def segment_volume(self, image: NDArray[Any]) -> NDArray[Any]:
        """Labels ``(z, y, x)`` in the annotator's values, tiled inside the graph, from ``segment_volume``."""
        return self.ask("segment_volume", image=image)["labels"]

    def served_intensity(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` as a client gets them, from ``intensity``."""
        return self.ask("intensity", image=image)["intensity"]

    def served_description(self) -> str:
        """What a client is told that the model is, as JSON, from ``describe``; exports before it have none."""
        return bytes(self.ask("describe", batch=np.zeros(1, np.float32))["description"][0]).decode()

    def ask(self, signature: str, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The outputs of a signature by their names, of inputs that become float32."""
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(value, tf.float32) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in self._graph.signatures[signature](**tensors).items()}

    @cached_property
    def _graph(self) -> Any:
        """The SavedModel, loaded when it is first asked: its variables are held once more."""
        import tensorflow as tf

        from keras_unet3d.serving.variables import explained

        with explained(self.path):
            return tf.saved_model.load(str(self.path))


def load_model(path: str | os.PathLike[str]) -> LoadedModel:
    """Load a model from its folder.

    Its networks are built from its description and its variables, which runs no graph. The graph, for its signatures,
    is loaded when one of them is asked. A SavedModel is a program: the graph is read first, and refused where it holds
    any operation that our exports do not need, file access and Python calls among them. Trust the source of a model all
    the same.

    Args:
        path: a model's folder, with or without the version; without, the newest version is loaded.

    Raises:
        InputError: if it is no model, none of this package, one of another version of it, damaged, or not safe to load.
    """
    folder = version_folder(path)
    description = read_description(folder)

    from keras_unet3d.serving.trusted_graph import check_graph
    from keras_unet3d.serving.variables import read_networks

    check_graph(folder)
    return LoadedModel(folder, description, *read_networks(folder, description))
