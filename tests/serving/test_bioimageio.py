"""Packages for the BioImage Model Zoo; its own checkers have a say where they are installed."""

import hashlib
import io
import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import keras_unet3d as unet3d
from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving.bioimageio import write_package
from keras_unet3d.serving.conversion import TOLERANCE
from keras_unet3d.serving.saved_model import LoadedModel, load_model
from keras_unet3d.serving.zoo_description import Publication, preprocessing, zoo_description
from keras_unet3d.serving.zoo_readme import zoo_readme
from keras_unet3d.volumes import Grid, Volume

CARD = "# A card\n\nSee [the figures](../figures.md) and [the paper](https://arxiv.org/abs/1606.06650).\n"


@pytest.fixture(scope="module")
def packages(exported, tmp_path_factory):
    """A package of each model, once."""
    made = {}

    def package(name):
        if name not in made:
            said = Publication(f"{name} cells", ("A. Person", "B. Person"), "CC-BY-4.0", CARD)
            example = np.random.default_rng(0).normal(1000, 200, (24, 26, 25, 2)).astype(np.float32)
            folder = tmp_path_factory.mktemp("zoo") / f"{name}-bioimageio"
            made[name] = write_package(load_model(exported[name].path), folder, said, example)
        return made[name]

    return package


def _read(package, name):
    with zipfile.ZipFile(package) as packed:
        return packed.read(name)


def _content(package):
    return json.loads(_read(package, "rdf.yaml"))


def test_it_holds_what_it_names(packages):
    package = packages("padded")
    assert (package.name, package.parent.name) == ("padded cells.zip", "1")
    content = _content(package)
    named = [*content["weights"].values(), *content["attachments"]]
    named += [tensor["test_tensor"] for tensor in (*content["inputs"], *content["outputs"])]
    for each in named:
        assert hashlib.sha256(_read(package, each["source"])).hexdigest() == each["sha256"]
    with zipfile.ZipFile(package) as packed:
        expected = {each["source"] for each in named} | {"rdf.yaml", "README.md", "cover.png"}
        assert sorted(packed.namelist()) == sorted(expected)
    assert Image.open(io.BytesIO(_read(package, "cover.png"))).size == (512, 256)
    assert len(_read(package, "cover.png")) < 500_000


def test_it_says_who_made_it_and_whom_to_cite(packages):
    content = _content(packages("padded"))
    assert [author["name"] for author in content["authors"]] == ["A. Person", "B. Person"]
    assert (content["license"], content["version"]) == ("CC-BY-4.0", "1")
    assert content["cite"][0]["doi"] == "10.1007/978-3-319-46723-8_49"
    readme = _read(packages("padded"), "README.md").decode()
    assert "See the figures and [the paper](https://arxiv.org/abs/1606.06650)." in readme
    assert "0 is structure 0, 7 is structure 7, 300 is structure 300" in readme
    assert "synthetic" not in readme


def test_axes_say_sizes_and_what_to_crop(packages, exported):
    content = _content(packages("moving"))
    halo = 8  # of two unpadded convolutions at both of two levels and on the way up: 4 + 2 · 4 + 4, half on each side
    image, probabilities = content["inputs"][0]["axes"], content["outputs"][0]["axes"]
    assert [axis.get("id", axis["type"]) for axis in image] == ["batch", "z", "y", "x", "channel"]
    assert [axis["size"] for axis in image[1:4]] == [{"min": 2 * halo + 2, "step": 2}] * 3
    assert [axis["halo"] for axis in probabilities[1:4]] == [halo] * 3
    assert probabilities[1]["size"] == {"tensor_id": "image", "axis_id": "z"}
    assert image[4]["channel_names"] == ["lectin", "nuclei"]
    assert probabilities[4]["channel_names"] == ["structure 0", "structure 7", "structure 300"]


def test_spacing_is_kept_so_that_sizes_do_not_round_down(describe):
    description = describe(spacing=(2.04, 1.76, 1.1), unit="µm")
    axes = zoo_description(description, Publication("cells"), {}, 1.0)["inputs"][0]["axes"][1:4]
    assert [axis["unit"] for axis in axes] == ["micrometer"] * 3
    for axis, expected in zip(axes, (2.04, 1.76, 1.1), strict=True):
        assert axis["scale"] == pytest.approx(expected, rel=1e-6)
        lengths = np.arange(1, 10_000)
        assert (np.floor(lengths * axis["scale"] / axis["scale"]) == lengths).all()


@pytest.mark.parametrize("name", ["moving", "padded"])
def test_its_saved_model_gives_its_test_output(name, packages, tmp_path):
    import tensorflow as tf

    package = packages(name)
    with zipfile.ZipFile(io.BytesIO(_read(package, "tensorflow_saved_model_bundle.zip"))) as weights:
        weights.extractall(tmp_path)
    ask = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    image = np.load(io.BytesIO(_read(package, "test_input.npy")))
    # zero_mean_unit_variance of each channel
    image = (image - image.mean((1, 2, 3), keepdims=True)) / (image.std((1, 2, 3), keepdims=True) + 1e-6)
    expected = np.load(io.BytesIO(_read(package, "test_output.npy")))
    assert expected.shape == (*image.shape[:4], 3)
    np.testing.assert_allclose(ask(tf.constant(image))["probabilities"], expected, atol=1e-3)
    tolerance = _content(package)["config"]["bioimageio"]["reproducibility_tolerance"][0]["absolute_tolerance"]
    assert 1e-3 < tolerance <= 0.01 * expected.max()


@pytest.mark.parametrize("name", ["moving", "padded"])
def test_the_zoos_own_format_takes_it(name, packages):
    spec = pytest.importorskip("bioimageio.spec", reason="bioimageio.spec is not installed")
    described = spec.load_description(packages(name), perform_io_checks=True)
    assert not isinstance(described, spec.InvalidDescr), described.get_reason()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moving", "current", "padded"])
def test_the_zoos_own_runner_gives_its_test_output(name, packages, tmp_path, monkeypatch):
    core = pytest.importorskip("bioimageio.core", reason="bioimageio.core is not installed")
    monkeypatch.chdir(tmp_path)  # where it unpacks weights
    assert core.test_model(packages(name)).status == "passed"


@pytest.mark.slow
def test_the_zoos_own_runner_makes_no_seams(packages, exported, served, noise, tmp_path, monkeypatch):
    core = pytest.importorskip("bioimageio.core", reason="bioimageio.core is not installed")
    monkeypatch.chdir(tmp_path)
    description = core.load_model_description(packages("moving"))
    image = noise(36, 38, 40)  # multiples of 2: it moves the last tile back into the image

    def predicted(**blocks):
        with core.create_prediction_pipeline(description, weight_format="tensorflow_saved_model_bundle") as pipeline:
            tensor = core.Tensor(image[None].astype(np.float64), dims=("batch", "z", "y", "x", "channel"))
            sample = core.Sample(members={"image": tensor}, stat={}, id="one")
            found = pipeline.predict_sample_with_fixed_blocking(sample, {"image": {"batch": 1, "channel": 2} | blocks})
            return found.members["probabilities"].to_numpy()[0]

    found = predicted(z=36, y=38, x=40)
    np.testing.assert_allclose(predicted(z=28, y=24, x=26), found, atol=1e-4)
    inner = (slice(10, -10),) * 3  # where no tile has seen how the border is mirrored
    np.testing.assert_allclose(found[inner], served(exported["moving"]).volume(image)[inner], atol=1e-4)


def test_onnx_gives_the_same(packages):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    session = onnxruntime.InferenceSession(_read(packages("moving"), "weights.onnx"))
    image = np.load(io.BytesIO(_read(packages("moving"), "test_input.npy")))
    image = (image - image.mean((1, 2, 3), keepdims=True)) / (image.std((1, 2, 3), keepdims=True) + 1e-6)
    expected = np.load(io.BytesIO(_read(packages("moving"), "test_output.npy")))
    np.testing.assert_allclose(session.run(None, {"image": image})[0], expected, atol=1e-3)
    assert _content(packages("moving"))["weights"]["onnx"]["parent"] == "tensorflow_saved_model_bundle"


def test_without_onnx_it_holds_tensorflows_weights_alone(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    package = write_package(load_model(exported["moving"].path), tmp_path / "a", Publication("a"))
    assert list(_content(package)["weights"]) == ["tensorflow_saved_model_bundle"]
    assert "The test input is synthetic" in _read(package, "README.md").decode()


WINDOW = {"low": -100.0, "high": 300.0, "offset": 50.0, "scale": 40.0}


def test_windows_are_scaled_by_their_numbers(describe):
    both = describe(intensity={"windows": {"lectin": WINDOW, "nuclei": WINDOW}})
    assert preprocessing(both) == [{"id": "scale_linear", "kwargs": {"gain": 0.025, "offset": -1.25}}]
    other = describe(intensity={"windows": {"lectin": WINDOW, "nuclei": WINDOW | {"offset": 10.0}}})
    kwargs = {"axis": "channel", "gain": [0.025, 0.025], "offset": [-1.25, -0.25]}
    assert preprocessing(other) == [{"id": "scale_linear", "kwargs": kwargs}]
    as_they_are = WINDOW | {"offset": 0.0, "scale": 1.0}
    assert preprocessing(describe(intensity={"windows": {"lectin": as_they_are, "nuclei": as_they_are}})) == []
    assert "fixed numbers" in zoo_readme(both, Publication("cells"), ["onnx"], synthetic=True)


def test_what_the_format_has_no_words_for_is_refused(exported, describe, tmp_path):
    model = load_model(exported["padded"].path)
    mixed = model.description.model_copy(
        update={"intensity": describe(intensity={"windows": {"nuclei": WINDOW}}).intensity}
    )
    model.description = mixed
    with pytest.raises(InputError, match="channels nuclei have a fixed window, lectin are measured"):
        write_package(model, tmp_path / "zoo", Publication("cells"))
    assert not (tmp_path / "zoo").exists()


def test_what_gives_something_else_is_not_published(exported, tmp_path, monkeypatch):
    given = LoadedModel.probabilities
    monkeypatch.setattr(LoadedModel, "probabilities", lambda *tiles: given(*tiles) + 2 * TOLERANCE)
    with pytest.raises(WorkError, match="nothing was published"):
        write_package(load_model(exported["moving"].path), tmp_path / "zoo", Publication("cells"))
    assert list((tmp_path / "zoo").iterdir()) == []


def test_several_become_one_and_an_example_is_an_image_for_the_model(exported, noise, tmp_path):
    models = [load_model(exported["padded"].path)] * 2
    image = Volume(noise(9, 10, 11), Grid((9, 10, 11)))
    package = unet3d.package(models, tmp_path / "both", authors=["A. Person"], example=image)
    assert package == tmp_path / "both" / "1" / "both.zip"
    assert json.loads(_read(package, "unet3d.json"))["members"] == 2
    given = np.load(io.BytesIO(_read(package, "test_input.npy")))
    assert np.isin(given, image.voxels).all()
    with pytest.raises(InputError, match="the model expects 2"):
        unet3d.package(models, tmp_path / "both", example=replace(image, voxels=image.voxels[..., :1]))
