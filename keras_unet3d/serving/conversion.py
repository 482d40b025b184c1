"""A served model in the formats of other runtimes, which need no TensorFlow: OpenVINO and ONNX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving.description import DESCRIPTION_FILE
from keras_unet3d.serving.saved_model import LoadedModel
from keras_unet3d.serving.versions import written_version

OtherFormat = Literal["openvino", "onnx"]

TOLERANCE = 1e-4
"""By which probabilities may differ from TensorFlow's."""

OPSET = 18
"""Of ONNX: what runtimes from 2023 on know."""

Run = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""From raw tiles and their intensities to probabilities."""


def convert_model(model: LoadedModel, folder: Path, form: OtherFormat) -> Path:
    """Write the next version of a model in another format, checked, whole or not at all.

    It is ``serving_default``: raw tiles of any valid size, in batches of any size, and the ``intensity`` of their
    volumes to probabilities, in float32. What the model is lies beside it, in ``unet3d.json``.

    Args:
        model: that was exported for TensorFlow.
        folder: of the model; its versions are numbered folders within.
        form: ``"openvino"`` writes ``model.xml`` and ``model.bin``, ``"onnx"`` writes ``model.onnx``.

    Returns:
        The folder of the new version.

    Raises:
        InputError: if there is no such format, what writes and runs it is not installed, or the folder cannot be
            written to.
        WorkError: if writing fails, or the format's runtime does not give what TensorFlow gives.
    """
    if form not in get_args(OtherFormat):
        raise InputError(f"Expected one of the formats {', '.join(get_args(OtherFormat))}. Received: {form!r}")
    write: Callable[[LoadedModel, Path], Run] = _openvino() if form == "openvino" else _onnx()
    with written_version(folder) as (version, unfinished):
        run = write(model, unfinished)
        (unfinished / DESCRIPTION_FILE.name).write_bytes((model.path / DESCRIPTION_FILE).read_bytes())
        if not _same(model, run):
            raise WorkError(f"{folder}: its runtime does not give what TensorFlow gives; nothing was published.")
    return version


def _same(model: LoadedModel, run: Run) -> bool:
    """Whether both give the same for tiles of two sizes, in batches of one and two."""
    rng, channels = np.random.default_rng(0), len(model.description.channels)
    for batch, longer in ((1, 0), (2, 1)):
        z, y, x = (axis.minimum + longer * axis.multiple for axis in model.geometry.axes)
        tiles = rng.normal(1000, 300, (batch, z, y, x, channels)).astype(np.float32)
        intensity = np.tile(np.array([1000, 300], np.float32), (batch, channels, 1))
        if not np.allclose(run(tiles, intensity), model.probabilities(tiles, intensity), atol=TOLERANCE):
            return False
    return True


def _openvino() -> Callable[[LoadedModel, Path], Run]:
    try:
        import openvino
    except ImportError as error:
        raise _missing("openvino", error) from error

    def write(model: LoadedModel, folder: Path) -> Run:
        core, file = openvino.Core(), folder / "model.xml"
        openvino.save_model(core.read_model(str(model.path)), file, compress_to_fp16=False)
        compiled = core.compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda tiles, intensity: compiled({"image": tiles, "intensity": intensity})["probabilities"]

    return write


def _onnx() -> Callable[[LoadedModel, Path], Run]:
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise _missing("onnx", error) from error
    import tensorflow as tf

    def write(model: LoadedModel, folder: Path) -> Run:
        channels, file = len(model.description.channels), folder / "model.onnx"
        whole = tf.saved_model.load(str(model.path))  # which holds the variables as long as it is held
        signature = whole.signatures["serving_default"]
        given = tf.function(lambda image, intensity: signature(image=image, intensity=intensity), autograph=False)
        tensors = [
            tf.TensorSpec([None, None, None, None, channels], tf.float32, name="image"),
            tf.TensorSpec([None, channels, 2], tf.float32, name="intensity"),
        ]
        tf2onnx.convert.from_function(given, tensors, opset=OPSET, output_path=str(file))
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

        def run(tiles: NDArray[np.float32], intensity: NDArray[np.float32]) -> Any:
            return session.run(["probabilities"], {"image": tiles, "intensity": intensity})[0]

        return run

    return write


def _missing(form: OtherFormat, error: ImportError) -> InputError:
    return InputError(f"This format needs what is not installed ({error}): pip install 'keras-unet3d[{form}]'")
