"""A model in its folder: loaded for tiled prediction, needing nothing but that folder."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.description import ModelDescription, read_description
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes.intensity import volume_intensity


class SavedModelPredictor:
    """A loaded SavedModel as a `Predictor`.

    Attributes:
        path: the folder of the version.
        description: what the model is.
    """

    def __init__(self, path: Path, description: ModelDescription, loaded: Any) -> None:
        """Take what `load_model` read."""
        self.path = path
        self.description = description
        self._loaded = loaded  # its variables live as long as it does

    @property
    def geometry(self) -> Geometry:
        """Which tiles the model takes and what it returns."""
        return self.description.geometry.geometry

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.description.classes)

    @property
    def tile_dependent(self) -> bool:
        """Whether the model normalises by the statistics of each tile."""
        return self.description.tile_dependent

    def intensity(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` of a whole raw volume, by the rule that the description names.

        Computed here, not by the model's own signature, which would take a second copy of the volume.
        """
        return volume_intensity(image)

    def probabilities(self, tiles: NDArray[np.float32], intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities ``(batch, z, y, x, class)`` of raw tiles, from ``serving_default``."""
        return self._ask("serving_default", image=tiles, intensity=intensity)["probabilities"]

    def segment_volume(self, image: NDArray[Any]) -> NDArray[Any]:
        """Labels ``(z, y, x)`` in the annotator's values, tiled inside the graph, from ``segment_volume``."""
        return self._ask("segment_volume", image=image)["labels"]

    def served_intensity(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` as a client gets them, from ``intensity``."""
        return self._ask("intensity", image=image)["intensity"]

    def _ask(self, signature: str, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(value, tf.float32) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in self._loaded.signatures[signature](**tensors).items()}


def load_model(path: str | os.PathLike[str]) -> SavedModelPredictor:
    """Load a model from its folder.

    A SavedModel is a program. Before it is loaded its graph is read, and refused where it holds any operation that our
    exports do not need: file access and Python calls among them. Trust the source of a model all the same.

    Args:
        path: a model's folder, with or without the version; without, the newest version is loaded.

    Raises:
        InputError: if it is no model, none of this package, one of a newer package, damaged, or not safe to load.
    """
    folder = version_folder(path)
    description = read_description(folder)

    import tensorflow as tf

    from keras_unet3d.serving.trusted_graph import SIGNATURES, check_graph

    check_graph(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise InputError(f"{folder}: could not be loaded: {_first_line(error)} Export the model again.") from error
    missing = [name for name in SIGNATURES if name not in loaded.signatures]
    if missing:
        raise InputError(f"{folder}: lacks the signatures {', '.join(missing)}. Export the model again.")
    return SavedModelPredictor(folder, description, loaded)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") + "."
