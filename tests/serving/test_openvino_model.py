"""A second opinion on what was exported, which is not TensorFlow's."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving import openvino_model
from keras_unet3d.serving.openvino_model import MODEL_FILE, write_openvino
from keras_unet3d.serving.saved_model import load_model


@pytest.fixture
def openvino():
    return pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.mark.parametrize("name", ["moving", "current", "padded", "group"])
def test_it_gives_what_tensorflow_gives_for_any_size(name, openvino, exported, tmp_path, noise):
    model = load_model(exported[name].path)
    versions = [write_openvino(model, tmp_path / "model") for _ in range(2)]
    assert versions == [tmp_path / "model" / "1", tmp_path / "model" / "2"]
    core = openvino.Core()
    compiled = core.compile_model(versions[1] / MODEL_FILE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    z, y, x = (axis.minimum + 2 * axis.multiple for axis in model.geometry.axes)
    tiles = np.stack([noise(z, y, x + 8)] * 3)
    intensity = np.float32([[[1000, 200], [900, 100]]] * 3)
    found = compiled({"image": tiles, "intensity": intensity})["probabilities"]
    np.testing.assert_allclose(found, model.probabilities(tiles, intensity), atol=1e-5)
    assert json.loads((versions[0] / "unet3d.json").read_text(encoding="utf-8"))["channels"] == ["lectin", "nuclei"]


def test_several_become_one(openvino, exported, tmp_path):
    import keras_unet3d as unet3d

    models = [load_model(exported["padded"].path)] * 2
    version = unet3d.export_openvino(models, tmp_path / "both")
    assert json.loads((version / "unet3d.json").read_text(encoding="utf-8"))["members"] == 2


def test_what_gives_something_else_is_not_published(openvino, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_model, "TOLERANCE", -1)
    with pytest.raises(WorkError, match="nothing was published"):
        write_openvino(load_model(exported["moving"].path), tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_without_openvino_it_says_what_to_install(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(InputError, match=r"pip install 'keras-unet3d\[openvino\]'"):
        write_openvino(SimpleNamespace(path=exported["moving"].path), tmp_path / "model")
    assert not (tmp_path / "model").exists()
