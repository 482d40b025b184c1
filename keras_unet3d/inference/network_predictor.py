"""A Keras network, in training or loaded, for tiled prediction with TensorFlow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import WorkError
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.streaming import Moments, StreamedNetwork
from keras_unet3d.network.work import Precision
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities


class NetworkPredictor:
    """A network of `build_unet3d`, spatial sizes None; its weights are read at every call.

    A tile goes through the network plane by plane (`StreamedNetwork`), unless its own statistics are wanted, for which
    all of it is computed at once (in bfloat16 by a copy, with the weights of the beginning).

    Attributes:
        geometry: what the network was built with.
        classes: how many it tells apart.
        intensities: that the model wants.
        moments: of the normalisations that are computed, by their names, once they are fixed for a volume; see
            `statistics.volume_moments`.
    """

    def __init__(
        self,
        model: Any,
        geometry: Geometry,
        *,
        precision: Precision = "float32",
        mirrored: Sequence[int] = (),
        device: str | None = None,
        intensities: Intensities = PER_VOLUME,
    ) -> None:
        """Take a network.

        Args:
            model: gives logits for normalised ``(batch, z, y, x, channel)``.
            geometry: what it was built with.
            precision: of its features.
            mirrored: axes (0, 1, 2 for z, y, x): the probabilities are those of the mirrored tile, mirrored back.
            device: of TensorFlow, such as ``"GPU:1"``, that holds the model and computes; None leaves it to TensorFlow.
            intensities: that the model wants.
        """
        self.model = model
        self.geometry = geometry
        self.classes = int(model.output_shape[-1])
        self.moments: Moments | None = None
        self.intensities = intensities
        self._device = device
        self._precision, self._mirrored = precision, tuple(mirrored)
        self._streamed = StreamedNetwork(model, dtype=precision, mirrored=mirrored, compiled=_compiled)
        self._whole = _whole(model, precision) if self._streamed.normalizations else None

    @property
    def normalizations(self) -> tuple[str, ...]:
        """Names of the normalisations by the statistics of what they are given, in order."""
        return tuple(self._streamed.normalizations)

    @property
    def tile_dependent(self) -> bool:
        """Whether such statistics are those of each tile: there are some, and their moments are not fixed."""
        return bool(self.normalizations) and self.moments is None

    def start(self, intensity: NDArray[np.float32]) -> "NetworkStream":
        """Begin a tile."""
        whole = self._whole if self.tile_dependent else None
        stream = _WholeTile(whole, self._mirrored) if whole else self._streamed.start(self.moments)
        return NetworkStream(stream, self._normalising(intensity), _softmax, self._device)

    def features(self, intensity: NDArray[np.float32], moments: Moments, until: str) -> "NetworkStream":
        """Begin a tile whose features are wanted as they come to a normalisation, the ones before it being fixed."""
        stream = self._streamed.start(moments, until)
        return NetworkStream(stream, self._normalising(intensity), _as_float32, self._device)

    def _normalising(self, intensity: NDArray[np.float32]) -> Callable[[Any], Any]:
        """What is done to raw planes of a volume."""
        return partial(self.intensities.normalised, intensity=self.intensities.with_windows(intensity)[None])


class NetworkStream:
    """A tile on its way through a network. Started by `NetworkPredictor`."""

    def __init__(
        self, stream: Any, normalise: Callable[[Any], Any], finish: Callable[[Any], Any], device: str | None
    ) -> None:
        """Begin before the first plane."""
        self._stream, self._normalise, self._finish, self._device = stream, normalise, finish, device

    def push(self, planes: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32] | None:
        """Let raw planes ``(z, y, x, channel)`` in; what is ready ``(z, y, x, class or feature)`` comes out.

        Raises:
            WorkError: if the memory does not suffice, as where others take of a GPU's, too.
        """
        import tensorflow as tf

        try:
            with _on(self._device):
                ready = self._stream.push(tf.convert_to_tensor(self._normalise(planes[None])), last=last)
                return None if ready is None else cast("NDArray[np.float32]", self._finish(ready).numpy()[0])
        except tf.errors.ResourceExhaustedError as error:
            raise WorkError(
                f"The memory of {self._device or 'this machine'} did not suffice for planes of "
                f"{named(planes.shape[:3])}: something else takes of it, too. Free some of it; to segment with less, "
                "give a smaller budget (--memory)."
            ) from error


class _WholeTile:
    """A tile that is computed at once, when all of it has come."""

    def __init__(self, network: Callable[[Any], Any], mirrored: Sequence[int]) -> None:
        self._network, self._axes = network, [axis + 1 for axis in mirrored]
        self._planes: list[Any] = []

    def push(self, planes: Any, *, last: bool) -> Any | None:
        import tensorflow as tf

        self._planes.append(planes)
        if not last:
            return None
        tile = self._planes[0] if len(self._planes) == 1 else tf.concat(self._planes, axis=1)
        self._planes.clear()
        if not self._axes:
            return self._network(tile)
        return tf.reverse(self._network(tf.reverse(tile, self._axes)), self._axes)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a step when it is first called, once for planes of any size."""
    import tensorflow as tf

    graphs: dict[int, Callable[..., Any]] = {}

    def call(planes: Any, *moments: Any) -> Any:
        channels = planes.shape[-1]
        if channels not in graphs:
            spec = tf.TensorSpec([1, None, None, None, channels], planes.dtype)
            specs = [spec, *(tf.TensorSpec([channels], tf.float32) for _ in moments)]
            # A partial has no code of its own, by which TensorFlow would take all steps for one that is traced in vain.
            graphs[channels] = tf.function(partial(function), specs, autograph=False)
        return graphs[channels](planes, *moments)

    return call


def _whole(model: Any, precision: Precision) -> Callable[[Any], Any]:
    """The network for all of a tile, in one graph."""
    import tensorflow as tf

    if precision != "float32":
        model = _in_precision(model, precision)
    spec = tf.TensorSpec([None, None, None, None, model.input_shape[-1]], tf.float32)
    return cast("Callable[..., Any]", tf.function(lambda tile: model(tile, training=False), [spec], autograph=False))


def _in_precision(model: Any, precision: Precision) -> Any:
    """A copy of a network that computes in another precision."""
    import keras

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.weights or not isinstance(layer, keras.layers.InputLayer):
            config["dtype"] = f"mixed_{precision}"
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _softmax(logits: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(tf.cast(logits, tf.float32))


def _as_float32(features: Any) -> Any:
    import tensorflow as tf

    return tf.cast(features, tf.float32)


@contextmanager
def _on(device: str | None) -> Iterator[None]:
    import tensorflow as tf

    if device is None:
        yield
        return
    with tf.device(device):
        yield
