"""A Keras model as it is, in training or just built, for tiled prediction."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.intensity import normalised, volume_intensity


class KerasPredictor:
    """A Keras model that gives logits, as training holds it."""

    def __init__(self, model: Any, geometry: Geometry) -> None:
        """Take a model of `build_unet3d`, spatial sizes None.

        Args:
            model: gives logits for ``(batch, z, y, x, channel)``; its current weights are used at every call.
            geometry: what it was built with.
        """
        import tensorflow as tf

        self.model = model
        self.geometry = geometry
        self.classes = int(model.output_shape[-1])
        channels = model.input_shape[-1]
        # One graph for tiles of every size, traced once.
        self._probabilities: Callable[..., Any] = tf.function(
            tile_probabilities(model), autograph=False
        ).get_concrete_function(
            tf.TensorSpec([None, None, None, None, channels], tf.float32),
            tf.TensorSpec([None, channels, 2], tf.float32),
        )

    @property
    def tile_dependent(self) -> bool:
        """Whether the model normalises by the tile's own statistics (group or instance normalisation)."""
        return has_tile_statistics(self.model)

    def intensity(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` of a whole raw volume."""
        return volume_intensity(image)

    def probabilities(self, tiles: NDArray[np.float32], intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities ``(batch, z, y, x, class)`` of raw tiles."""
        import tensorflow as tf

        result: NDArray[np.float32] = self._probabilities(tf.constant(tiles), tf.constant(intensity)).numpy()
        return result


def tile_probabilities(model: Any) -> Callable[[Any, Any], Any]:
    """From raw tiles to probabilities: the one definition for a model in training and the model that is exported."""
    import keras

    def probabilities(tiles: Any, intensity: Any) -> Any:
        logits = model(normalised(tiles, intensity), training=False)
        return keras.ops.softmax(keras.ops.cast(logits, "float32"), axis=-1)

    return probabilities


def has_tile_statistics(model: Any) -> bool:
    """Whether a Keras model normalises by the statistics of the tile that it is given."""
    import keras

    return any(isinstance(layer, keras.layers.GroupNormalization) for layer in model.layers)
