"""A served model for OpenVINO, which runs on Intel's processors and GPUs without TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving.description import DESCRIPTION_FILE
from keras_unet3d.serving.saved_model import LoadedModel
from keras_unet3d.serving.versions import next_version
from keras_unet3d.volumes.whole_file import written_whole_folder

MODEL_FILE = "model.xml"
"""Its numbers are beside it, in ``model.bin``."""

TOLERANCE = 1e-4
"""By which its probabilities may differ from TensorFlow's."""


def write_openvino(model: LoadedModel, folder: Path) -> Path:
    """Write the next version of a model for OpenVINO, checked, whole or not at all.

    It is ``serving_default``: raw tiles of any valid size, in batches of any size, and the ``intensity`` of their
    volumes to probabilities, in float32. What the model is lies beside it, in ``unet3d.json``.

    Args:
        model: that was exported for TensorFlow.
        folder: of the model; its versions are numbered folders within, as OpenVINO Model Server takes them.

    Returns:
        The folder of the new version.

    Raises:
        InputError: if OpenVINO is not installed, or the folder cannot be written to.
        WorkError: if writing fails, or OpenVINO does not give what TensorFlow gives.
    """
    openvino = _openvino()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a model's folder ({error.strerror}). Name another.") from error
    version = next_version(folder)
    with written_whole_folder(version) as unfinished:
        openvino.save_model(
            openvino.Core().read_model(str(model.path)), unfinished / MODEL_FILE, compress_to_fp16=False
        )
        (unfinished / DESCRIPTION_FILE.name).write_bytes((model.path / DESCRIPTION_FILE).read_bytes())
        compiled = openvino.Core().compile_model(unfinished / MODEL_FILE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        if not _same(model, compiled):
            raise WorkError(f"{folder}: OpenVINO does not give what TensorFlow gives; nothing was published.")
    return version


def _same(model: LoadedModel, compiled: Any) -> bool:
    """Whether both give the same for tiles of two sizes, in batches of one and two."""
    rng, channels = np.random.default_rng(0), len(model.description.channels)
    for batch, longer in ((1, 0), (2, 1)):
        z, y, x = (axis.minimum + longer * axis.multiple for axis in model.geometry.axes)
        tiles = rng.normal(1000, 300, (batch, z, y, x, channels)).astype(np.float32)
        intensity = np.broadcast_to(np.array([1000, 300], np.float32), (batch, channels, 2)).copy()
        found = compiled({"image": tiles, "intensity": intensity})["probabilities"]
        if not np.allclose(found, model.probabilities(tiles, intensity), atol=TOLERANCE):
            return False
    return True


def _openvino() -> Any:
    """The library, imported when it is first needed.

    Raises:
        InputError: if it is not there.
    """
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            f"This format needs OpenVINO, which is not installed ({error}): pip install 'keras-unet3d[openvino]'"
        ) from error
    return openvino
