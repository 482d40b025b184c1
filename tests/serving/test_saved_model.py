"""A model in its folder, where this package is and where it is not."""

import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.inference.axis import axis_tiling
from keras_unet3d.inference.keras_predictor import KerasPredictor
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.tiles import TilePlan, one_tile
from keras_unet3d.network.statistics import with_current_statistics
from keras_unet3d.serving.saved_model import load_model

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
    before = [variable.numpy() for variable in loaded.weights]
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
    for variable, value in zip(loaded.weights, before):
        assert (variable.numpy() == value).all(), variable.name
assert not any(name.startswith("keras_unet3d") for name in sys.modules)
np.savez(folder + "/found.npz", **found)
"""


def served_as(model):
    """The network as `serving_default` runs it."""
    network = model.network
    if model.description.statistics == "current":
        network = with_current_statistics(network)
    return KerasPredictor(network, model.description.geometry.geometry)


@pytest.fixture(scope="module")
def elsewhere(exported, tmp_path_factory):
    """Images, and what the models make of them in a process that has TensorFlow and nothing of ours."""
    rng = np.random.default_rng(1)
    given = {f"volume{shape}": rng.normal(1000, 200, (*shape, 2)).astype(np.float32) for shape in SHAPES}
    for name, model in exported.items():
        shortest = model.description.geometry.geometry.input_length(8)
        given[f"{name} tiles"] = rng.normal(100, 20, (2, shortest, shortest, shortest + 4, 2)).astype(np.float32)
        given[f"{name} intensity"] = np.array([[[100, 20], [90, 10]], [[110, 30], [100, 20]]], dtype=np.float32)
    folder = tmp_path_factory.mktemp("elsewhere")
    np.savez(folder / "given.npz", **given)
    paths = json.dumps({name: str(model.path) for name, model in exported.items()})
    command = [sys.executable, "-I", "-c", ELSEWHERE, str(folder), paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return given, dict(np.load(folder / "found.npz"))


NAMES = ["moving", "current", "padded"]


@pytest.mark.parametrize("name", NAMES)
def test_raw_tiles_of_two_volumes_without_this_package(name, exported, elsewhere):
    given, found = elsewhere
    expected = served_as(exported[name]).probabilities(given[f"{name} tiles"], given[f"{name} intensity"])
    np.testing.assert_allclose(found[f"{name} tiles"], expected, atol=1e-5)
    assert found[f"{name} tiles"].dtype == np.float32


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_volumes_without_this_package(name, shape, exported, elsewhere):
    given, found = elsewhere
    image, labels = given[f"volume{shape}"], found[f"{name}volume{shape}"]
    model = exported[name]
    predictor = served_as(model)
    z, y, x = (axis_tiling(n, t, predictor.geometry) for n, t in zip(shape, model.description.tile, strict=True))
    probabilities = np.empty((*shape, 3), np.float32)
    with warnings.catch_warnings():  # of statistics of the tile: the graph has the same tiles
        warnings.simplefilter("ignore")
        classes = segment_voxels(image, predictor, TilePlan((z, y, x), 0), probabilities=probabilities)
    best = np.sort(probabilities, axis=-1)
    differing = labels != model.description.scheme.label_values(classes)
    assert (best[..., -1] - best[..., -2])[differing].max(initial=0) < 1e-5
    assert (labels.dtype, labels.shape) == (np.uint16, shape)  # 300 is a value
    assert set(np.unique(labels)) <= {0, 7, 300}
    intensity = found[f"{name}volume{shape} intensity"]
    np.testing.assert_allclose(intensity, predictor.intensity(image), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_is_a_predictor_like_the_network(name, exported, noise):
    model = exported[name]
    predictor, expected = load_model(model.path.parent), served_as(model)
    assert isinstance(predictor, Predictor)
    assert predictor.path == model.path
    assert (predictor.geometry, predictor.classes, predictor.tile_dependent) == (
        expected.geometry,
        expected.classes,
        expected.tile_dependent,
    )
    image = noise(6, 7, 8)
    found, wanted = (np.empty((6, 7, 8, 3), np.float32) for _ in range(2))
    plan = one_tile(image.shape, predictor.geometry)
    segment_voxels(image, predictor, plan, probabilities=found)
    segment_voxels(image, expected, plan, probabilities=wanted)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_integers_are_served_too(exported, noise):
    model = load_model(exported["moving"].path)
    image = noise(5, 6, 7).round()
    np.testing.assert_array_equal(model.segment_volume(image.astype(np.uint16)), model.segment_volume(image))


def test_a_damaged_model_is_a_sentence(exported, tmp_path):
    whole = exported["moving"].path
    for name, damage in {"graph": "saved_model.pb", "variables": "variables/variables.index"}.items():
        folder = shutil.copytree(whole, tmp_path / name)
        (folder / damage).write_bytes((folder / damage).read_bytes()[:50])
        with pytest.raises(InputError, match=r"Export the model again"):
            load_model(folder)
    folder = shutil.copytree(whole, tmp_path / "missing")
    shutil.rmtree(folder / "variables")
    with pytest.raises(InputError, match=r"Export the model again"):
        load_model(folder)
