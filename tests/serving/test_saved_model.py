"""A model in its folder, where this package is and where it is not."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import DESCRIPTION_FILE
from keras_unet3d.serving.saved_model import load_model
from keras_unet3d.volumes.intensity import volume_intensity

VALUES = (0, 7, 300)
SHAPES = [(1, 1, 1), (1, 5, 2), (9, 8, 7), (3, 40, 21)]

ELSEWHERE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras_unet3d", "unet3d_cli"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
import json
import numpy as np
import tensorflow as tf

folder, models = sys.argv[1], json.loads(sys.argv[2])
given, found = np.load(folder + "/given.npz"), {}
for name, path in models.items():
    loaded = tf.saved_model.load(path)
    weights = [variable for layer in loaded.weights.values() for variable in layer.values()]
    before = [variable.numpy() for variable in weights]
    assert before
    for key in given.files:
        image = tf.constant(given[key])
        if key.startswith(name + " tiles"):
            intensity = tf.constant(given[name + " intensity"])
            answer = loaded.signatures["serving_default"](image=image, intensity=intensity)
            found[key] = answer["probabilities"].numpy()
        elif key.startswith("volume"):
            found[name + key] = loaded.signatures["segment_volume"](image=image)["labels"].numpy()
            found[name + key + " intensity"] = loaded.signatures["intensity"](image=image)["intensity"].numpy()
    for variable, value in zip(weights, before):
        assert (variable.numpy() == value).all(), variable.name
assert not any(name.startswith("keras_unet3d") for name in sys.modules)
np.savez(folder + "/found.npz", **found)
"""


@pytest.fixture(scope="module")
def elsewhere(exported, tmp_path_factory):
    """Images, and what the models make of them in a process that has TensorFlow and nothing of ours."""
    rng = np.random.default_rng(1)
    given = {f"volume{shape}": rng.normal(1000, 200, (*shape, 2)).astype(np.float32) for shape in SHAPES}
    for name, model in exported.items():
        z, y, x = (axis.input_length(8) for axis in model.description.geometry.geometry.axes)
        given[f"{name} tiles"] = rng.normal(100, 20, (2, z, y, x + 4, 2)).astype(np.float32)
        given[f"{name} intensity"] = np.array([[[100, 20], [90, 10]], [[110, 30], [100, 20]]], dtype=np.float32)
    folder = tmp_path_factory.mktemp("elsewhere")
    np.savez(folder / "given.npz", **given)
    paths = json.dumps({name: str(model.path) for name, model in exported.items()})
    command = [sys.executable, "-I", "-c", ELSEWHERE, str(folder), paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return given, dict(np.load(folder / "found.npz"))


NAMES = ["moving", "current", "padded", "group"]


@pytest.mark.parametrize("name", NAMES)
def test_raw_tiles_of_two_volumes_without_this_package(name, exported, elsewhere, served):
    given, found = elsewhere
    expected = served(exported[name]).tiles(given[f"{name} tiles"], given[f"{name} intensity"])
    np.testing.assert_allclose(found[f"{name} tiles"], expected, atol=1e-5)
    assert found[f"{name} tiles"].dtype == np.float32


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_volumes_without_this_package(name, shape, exported, elsewhere, served):
    given, found = elsewhere
    image, labels = given[f"volume{shape}"], found[f"{name}volume{shape}"]
    served(exported[name]).assert_labels(labels, image, VALUES)
    assert (labels.dtype, labels.shape) == (np.uint16, shape)  # 300 is a value
    intensity = found[f"{name}volume{shape} intensity"]
    np.testing.assert_allclose(intensity, volume_intensity(image), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_the_one_that_was_exported(name, exported, served, noise):
    model = exported[name]
    loaded = load_model(model.path.parent)
    assert loaded.path == model.path
    assert loaded.description.size == loaded.size
    assert loaded.description.tile_dependent == (name in {"current", "group"})
    z, y, x = (axis.minimum for axis in loaded.geometry.axes)
    tiles, intensity = noise(1, z, y, x), np.array([[[1000, 200], [900, 100]]], np.float32)
    expected = served(model).tiles(tiles, intensity)
    np.testing.assert_allclose(served(loaded.network, loaded.geometry).tiles(tiles, intensity), expected, atol=1e-5)
    np.testing.assert_allclose(loaded.probabilities(tiles, intensity), expected, atol=1e-5)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in loaded.network.layers)


def test_the_network_is_loaded_without_running_the_graph(exported, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(tf.saved_model, "load", fail)
    model = load_model(exported["padded"].path)
    assert model.network.input_shape == (None, None, None, None, 2)
    with pytest.raises(AssertionError):
        model.served_intensity(np.zeros((1, 1, 1, 2), np.float32))


def test_integers_are_served_too(exported, noise):
    model = load_model(exported["moving"].path)
    image = noise(5, 6, 7).round()
    np.testing.assert_array_equal(model.segment_volume(image.astype(np.uint16)), model.segment_volume(image))


DAMAGES = {
    "graph": "saved_model.pb",
    "index": "variables/variables.index",
    "data": "variables/variables.data-00000-of-00001",
}


@pytest.mark.parametrize("part", DAMAGES)
def test_a_damaged_model_is_a_sentence(part, exported, tmp_path):
    folder = shutil.copytree(exported["moving"].path, tmp_path / "1")
    file = folder / DAMAGES[part]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"{tmp_path}.*Export the model again"):
        load_model(tmp_path)


def test_a_single_wrong_byte_is_found(exported, tmp_path):
    folder = shutil.copytree(exported["moving"].path, tmp_path / "1")
    file = folder / DAMAGES["data"]
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=rf"{tmp_path}.*Export the model again"):
        load_model(tmp_path)


def test_a_model_without_variables_is_a_sentence(exported, tmp_path):
    folder = shutil.copytree(exported["moving"].path, tmp_path / "1")
    shutil.rmtree(folder / "variables")
    with pytest.raises(InputError, match=r"Export the model again"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": 10_000_000}, r"kernels of \d+ numbers together, the network that it describes has \d+"),
        ({"classes": [{"value": value, "name": str(value)} for value in (0, 7, 8, 9)]}, "numbers together"),
        ({"members": 2}, r"kernels of \d+ numbers together, the network that it describes has \d+"),
        ({"normalization": "group"}, r"has a gamma \(2,\) in down0a_norm, its variables none"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_description_of_another_network_is_refused_before_that_is_built(changes, message, exported, tmp_path):
    folder = shutil.copytree(exported["moving"].path, tmp_path / "1")
    plain = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8")) | changes
    (folder / DESCRIPTION_FILE).write_text(json.dumps(plain))
    with pytest.raises(InputError, match=message):
        load_model(tmp_path)
