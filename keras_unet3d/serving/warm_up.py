"""Requests that TensorFlow Serving sends a model before anyone else may: what is slow once is slow while it loads."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import WorkError
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.protocol import message, parsed
from keras_unet3d.serving.tensors import as_array, constant_tensor

WARM_UP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
"""Where the server looks for them: a TFRecord file of `PredictionLog`."""


def warm_up_shapes(description: ModelDescription) -> dict[str, dict[str, tuple[int, ...]]]:
    """What each signature is asked about: the shapes of its inputs, by their names.

    They are as small as can be: what TensorFlow does but once for each signature does not depend on them. Measured in
    C++ on two cores, with models/kidney-phantom: the first volume of x=96 y=96 z=32 took 1.71 s without warm-up, 0.43 s
    with it, and 0.36 s later; a first tile of 96 voxels a side 1.25 s after one of 8 a side, and as much after one of
    72. What a GPU tries out it does for each size anew, which no one knows before.

    The numbers along the first axes are 1, and as many planes of a volume as it has channels, for a server that merges
    requests along it: it demands that a reply has as many rows as its request, and ``intensity`` has one for each
    channel. A record that it refused would keep it from loading the model.
    """
    channels, (z, y, x) = len(description.channels), description.geometry.minimum
    volume = (channels, 8, 8, channels)
    return {
        "serving_default": {"image": (1, z, y, x, channels), "intensity": (1, channels, 2)},
        "segment_volume": {"image": volume},
        "intensity": {"image": volume},
        "describe": {"batch": (1,)},
    }


def write_warm_up(folder: Path, description: ModelDescription) -> None:
    """Write the requests into the folder of a version; each tensor is one number, whatever its shape."""
    import tensorflow as tf

    file = folder / WARM_UP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, shapes in warm_up_shapes(description).items():
            tensors = [message("NamedTensor", key=name, value=constant_tensor(1, shapes[name])) for name in shapes]
            request = message("PredictRequest", model_spec=message("Model", signature_name=signature), inputs=tensors)
            log = message("PredictionLog", predict_log=message("PredictLog", request=request))
            writer.write(log.SerializeToString())


def read_warm_up(folder: Path) -> Iterator[tuple[str, dict[str, NDArray[np.float32]]]]:
    """The requests of a version: the signature that each asks, and its inputs by their names.

    Raises:
        WorkError: if the file cannot be read.
    """
    import tensorflow as tf

    file = folder / WARM_UP_FILE
    try:
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    except tf.errors.OpError as error:
        raise WorkError(f"{file}: cannot be read ({error.message}).") from error
    for record in records:
        request = parsed("PredictionLog", record, str(file)).predict_log.request
        yield request.model_spec.signature_name, {each.key: _array(each.value) for each in request.inputs}


def try_warm_up(folder: Path, description: ModelDescription, ask: Callable[..., dict[str, NDArray[Any]]]) -> None:
    """Do what a server will do with the requests of a version, as one that fails keeps it from loading the model.

    Args:
        folder: of the version.
        description: of it.
        ask: called with the name of a signature and its inputs; gives its outputs by their names.

    Raises:
        WorkError: if a request fails, or its reply makes no sense.
    """
    import tensorflow as tf

    asked = []
    for signature, inputs in read_warm_up(folder):
        asked.append(signature)
        try:
            outputs = ask(signature, **inputs)
        except (tf.errors.OpError, LookupError, TypeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise WorkError(f"{folder.parent}: the warm-up request of {signature} fails ({reason}).") from error
        rows = {len(array) for array in (*inputs.values(), *outputs.values())}
        if len(rows) != 1 or any(array.dtype == np.float32 and np.isnan(array).any() for array in outputs.values()):
            raise WorkError(f"{folder.parent}: the warm-up request of {signature} has a reply that makes no sense.")
    expected = list(warm_up_shapes(description))
    if asked != expected:
        raise WorkError(f"{folder.parent}: its warm-up requests ask {asked}, not each of {expected} once.")


def _array(tensor: Any) -> NDArray[np.float32]:
    return as_array(tensor, tuple(each.size for each in tensor.tensor_shape.dim))
