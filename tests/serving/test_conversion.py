"""A second and a third opinion on what was exported, which are not TensorFlow's."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving import conversion
from keras_unet3d.serving.conversion import convert_model
from keras_unet3d.serving.saved_model import load_model


def _openvino(version):
    core = pytest.importorskip("openvino").Core()
    compiled = core.compile_model(version / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda tiles, intensity: compiled({"image": tiles, "intensity": intensity})["probabilities"]


def _onnx(version):
    session = pytest.importorskip("onnxruntime").InferenceSession(version / "model.onnx")
    return lambda tiles, intensity: session.run(None, {"image": tiles, "intensity": intensity})[0]


RUNTIMES = {"openvino": _openvino, "onnx": _onnx}


@pytest.fixture(params=RUNTIMES)
def form(request):
    for library in {"openvino": ["openvino"], "onnx": ["onnxruntime", "tf2onnx"]}[request.param]:
        pytest.importorskip(library, reason=f"{library} is not installed")
    return request.param


@pytest.mark.parametrize("name", ["moving", "current", "padded", "group"])
def test_it_gives_what_tensorflow_gives_for_any_size(name, form, exported, tmp_path, noise):
    model = load_model(exported[name].path)
    version = convert_model(model, tmp_path / "model", form)
    z, y, x = (axis.minimum + 2 * axis.multiple for axis in model.geometry.axes)
    tiles = np.stack([noise(z, y, x + 8)] * 3)
    intensity = np.float32([[[1000, 200], [900, 100]]] * 3)
    found = RUNTIMES[form](version)(tiles, intensity)
    np.testing.assert_allclose(found, model.probabilities(tiles, intensity), atol=1e-5)
    assert json.loads((version / "unet3d.json").read_text(encoding="utf-8"))["channels"] == ["lectin", "nuclei"]


def test_several_become_one(form, exported, tmp_path):
    models = [load_model(exported["padded"].path)] * 2
    versions = [unet3d.convert(models, tmp_path / "both", form) for _ in range(2)]
    assert versions == [tmp_path / "both" / "1", tmp_path / "both" / "2"]
    assert json.loads((versions[0] / "unet3d.json").read_text(encoding="utf-8"))["members"] == 2


def test_what_gives_something_else_is_not_published(form, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "TOLERANCE", -1)
    with pytest.raises(WorkError, match="nothing was published"):
        convert_model(load_model(exported["moving"].path), tmp_path / "model", form)
    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.parametrize(("form", "library"), [("openvino", "openvino"), ("onnx", "onnxruntime")])
def test_without_the_library_it_says_what_to_install(form, library, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(InputError, match=rf"pip install 'keras-unet3d\[{form}\]'"):
        convert_model(SimpleNamespace(), tmp_path / "model", form)
    assert not (tmp_path / "model").exists()
    with pytest.raises(InputError, match="one of the formats openvino, onnx"):
        convert_model(SimpleNamespace(), tmp_path / "model", "torch")
