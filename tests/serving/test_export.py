"""Exports appear whole or not at all, and hold what every server can run."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_unet3d.errors import WorkError
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.serving import export
from keras_unet3d.serving.description import read_description
from keras_unet3d.serving.export import export_model
from keras_unet3d.serving.saved_model import load_model

GEOMETRY = Geometry("same", 1)


def shape_of(signature):
    return {
        name: (tuple(dim.size for dim in tensor.tensor_shape.dim), tf.dtypes.as_dtype(tensor.dtype).name)
        for name, tensor in signature.items()
    }


def test_the_signatures_are_those_of_the_design(exported):
    for model in exported.values():
        saved_model = SavedModel.FromString((model.path / "saved_model.pb").read_bytes())
        signatures = saved_model.meta_graphs[0].signature_def
        volume = {"image": ((-1, -1, -1, 2), "float32")}
        assert shape_of(signatures["segment_volume"].inputs) == volume
        assert shape_of(signatures["segment_volume"].outputs) == {"labels": ((-1, -1, -1), "uint16")}
        assert shape_of(signatures["intensity"].inputs) == volume
        assert shape_of(signatures["intensity"].outputs) == {"intensity": ((2, 2), "float32")}
        assert shape_of(signatures["serving_default"].inputs) == {
            "image": ((-1, -1, -1, -1, 2), "float32"),
            "intensity": ((-1, 2, 2), "float32"),
        }
        assert shape_of(signatures["serving_default"].outputs) == {
            "probabilities": ((-1, -1, -1, -1, 3), "float32"),
        }
        assert shape_of(signatures["describe"].inputs) == {"batch": ((-1,), "float32")}
        assert shape_of(signatures["describe"].outputs) == {"description": ((-1,), "string")}


def test_no_function_must_be_compiled_by_xla(exported):
    for model in exported.values():
        graph = SavedModel.FromString((model.path / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
        marked = [f.signature.name for f in graph.library.function if f.attr["_XlaMustCompile"].b]
        marked += [node.name for f in graph.library.function for node in f.node_def if node.attr["_XlaMustCompile"].b]
        assert marked == []


def test_the_export_fills_in_what_it_knows(exported):
    description = read_description(exported["moving"].path)
    assert description.parameters == exported["moving"].network.count_params()
    assert description.tile == (22, 26, 20)


def test_frozen_statistics_are_part_of_the_convolutions(exported):
    names = [name for name, _ in tf.train.list_variables(str(exported["moving"].path / "variables" / "variables"))]
    weights = [name for name in names if name.startswith("weights")]
    convolutions, transposed = 2 * 2 + 2 + 1, 1  # at a depth of 1: two down, two at the bottom, two up, and the head
    assert len(weights) == 2 * convolutions + transposed
    assert not any("_norm" in name for name in names)


def test_versions_count_up(tmp_path, describe):
    network = build_unet3d((None, None, None, 2), 3, filters=2, depth=1, padding="same", normalization=None)
    description = describe(GEOMETRY, normalization=None, tile=(20, 20, 20))
    (tmp_path / "models" / "9").mkdir(parents=True)
    paths = [export_model(network, tmp_path / "models", description) for _ in range(2)]
    assert [path.name for path in paths] == ["10", "11"]
    assert load_model(tmp_path / "models").path.name == "11"


@pytest.mark.parametrize("failing", ["_write_graph", "_try"])
def test_a_failure_leaves_nothing(failing, tmp_path, describe, monkeypatch):
    def fail(*_):
        raise WorkError("the disk is full")

    monkeypatch.setattr(export, failing, fail)
    network = build_unet3d((None, None, None, 2), 3, filters=2, depth=1, padding="same")
    with pytest.raises(WorkError, match="disk is full"):
        export_model(network, tmp_path / "models", describe(GEOMETRY))
    assert list((tmp_path / "models").iterdir()) == []


def test_an_export_that_gives_something_else_is_not_published(tmp_path, describe, monkeypatch):
    """Such as one whose labels are mixed up."""
    label_values = type(describe().scheme).label_values
    answers = iter([np.array([7, 300, 0], np.uint16)])

    def mixed_up_once(scheme, class_index):
        return next(answers, label_values(scheme, class_index))

    monkeypatch.setattr(type(describe().scheme), "label_values", mixed_up_once)
    network = build_unet3d((None, None, None, 2), 3, filters=2, depth=1, padding="same")
    with pytest.raises(WorkError, match="does not give what the network gives"):
        export_model(network, tmp_path, describe(GEOMETRY))
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_fixed_size_is_served_at_any_size(tmp_path, describe, noise, served):
    network = build_unet3d((16, 16, 16, 2), 3, filters=2, depth=1, padding="same")
    any_size = build_unet3d((None, None, None, 2), 3, filters=2, depth=1, padding="same")
    any_size.set_weights(network.get_weights())
    model = load_model(export_model(network, tmp_path, describe(GEOMETRY, tile=(20, 20, 20))))
    tiles, intensity = noise(1, 4, 8, 24), np.array([[[1000, 200], [1000, 200]]], np.float32)
    expected = served(any_size, GEOMETRY).tiles(tiles, intensity)
    np.testing.assert_allclose(model.probabilities(tiles, intensity), expected, atol=1e-5)


def test_a_channel_with_a_window_is_served_with_it(tmp_path, describe, random_network, served):
    """The same number becomes the same value whatever else is in the volume, up to the window and no farther."""
    network = random_network(2, filters=2, depth=1, padding="same")
    window = {"low": -160, "high": 240, "offset": 50, "scale": 40}
    description = describe(GEOMETRY, channels=["PET", "CT"], intensity={"windows": {"CT": window}}, tile=(20, 20, 20))
    model = load_model(export_model(network, tmp_path, description))
    bright, dark = (
        np.random.default_rng(0).normal(mean, 500, (7, 6, 9, 2)).astype(np.float32) for mean in (1000, -1000)
    )
    expected = served(network, GEOMETRY, description.intensities)
    for image in (bright, dark):
        found = model.served_intensity(image)
        np.testing.assert_allclose(found, description.intensities.of(image), rtol=1e-6)
        assert found[1].tolist() == [50, 40]
        expected.assert_labels(model.segment_volume(image), image, (0, 7, 300))
        tile = np.zeros((1, 8, 8, 8, 2), np.float32)
        tile[..., 1] = np.linspace(-1000, 1000, 512).reshape(8, 8, 8)
        tile[..., 0] = found[0, 0]  # its mean
        np.testing.assert_allclose(model.probabilities(tile, found[None]), expected.tiles(tile, found[None]), atol=1e-5)
        drawn_in = np.concatenate([tile[..., :1], tile[..., 1:].clip(-160, 240)], axis=-1)
        np.testing.assert_allclose(
            model.probabilities(tile, found[None]), model.probabilities(drawn_in, found[None]), atol=1e-5
        )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_other_precisions_are_refused(policy, tmp_path, describe):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        network = build_unet3d((None, None, None, 2), 3, filters=2, depth=1, padding="same")
    finally:
        keras.config.set_dtype_policy(before)
    with pytest.raises(ValueError, match="Only float32"):
        export_model(network, tmp_path, describe(GEOMETRY))


def test_a_description_of_another_network_is_refused(tmp_path, describe):
    network = build_unet3d((None, None, None, 1), 3, filters=2, depth=1, padding="same")
    with pytest.raises(ValueError, match="2 channels and 3 classes"):
        export_model(network, tmp_path, describe(GEOMETRY))
    network = build_unet3d((None, None, None, 2), 3, filters=2, depth=1, padding="same", normalization="group")
    with pytest.raises(ValueError, match="'batch' normalisation"):
        export_model(network, tmp_path, describe(GEOMETRY))


def test_descriptions_are_plain_json(exported):
    text = (exported["padded"].path / "assets.extra" / "unet3d.json").read_text(encoding="utf-8")
    assert [each["value"] for each in json.loads(text)["classes"]] == [0, 7, 300]
    assert json.loads(load_model(exported["padded"].path).served_description()) == json.loads(text)


@pytest.fixture(scope="module")
def several(tmp_path_factory, random_network, describe):
    """Three networks with frozen statistics and two with those of what they are given, exported as one each."""
    made = {}
    for name, seeds, padding, normalization, tile in [
        ("frozen", (3, 4, 5), "same", "batch", (20, 24, 26)),
        ("current", (3, 4), "valid", "instance", (22, 26, 20)),
    ]:
        networks = [
            random_network(2, filters=2, depth=1, padding=padding, normalization=normalization, seed=seed)
            for seed in seeds
        ]
        description = describe(Geometry(padding, 1), normalization=normalization, tile=tile)
        made[name] = (load_model(export_model(networks, tmp_path_factory.mktemp(name), description)), networks)
    return made


@pytest.mark.parametrize("kind", ["frozen", "current"])
def test_several_networks_are_served_as_their_mean(kind, several, noise, served):
    """In the graph, and by the networks that are loaded, within 1e-6 of the mean in double precision."""
    model, networks = several[kind]
    geometry = model.geometry
    assert model.description.members == len(model.networks) == len(networks)
    assert model.description.parameters == sum(network.count_params() for network in networks)
    length = geometry.axes[0].input_length(8)
    tiles, intensity = noise(2, length, length, length), np.array([[[1000, 200]] * 2, [[900, 100]] * 2], np.float32)
    each = [served(network, geometry).tiles(tiles, intensity) for network in model.networks]
    mean = np.mean(each, axis=0)
    assert max(np.abs(one - mean).max() for one in each) > 1e-2
    np.testing.assert_allclose(model.probabilities(tiles, intensity), mean, atol=1e-6)
    for network, one in zip(networks, each, strict=True):
        np.testing.assert_allclose(one, served(network, geometry).tiles(tiles, intensity), atol=2e-5)


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 9, 18)], ids=str)
@pytest.mark.parametrize("kind", ["frozen", "current"])
def test_a_volume_gets_the_labels_of_the_mean_in_one_tile_and_in_several(kind, shape, several, noise, served):
    model, networks = several[kind]
    image = noise(*shape)
    mean = np.mean([served(network, model.geometry).volume(image) for network in networks], axis=0)
    best = np.sort(mean, axis=-1)
    sure = best[..., -1] - best[..., -2] > 1e-4
    expected = np.array([0, 7, 300])[mean.argmax(axis=-1)]
    np.testing.assert_array_equal(model.segment_volume(image)[sure], expected[sure])
    assert sure.mean() > 0.9


def test_a_model_of_several_networks_has_no_single_one(several):
    with pytest.raises(ValueError, match="mean of 3 networks"):
        _ = several["frozen"][0].network


def test_members_have_their_variables_by_their_number(several, exported):
    names = [name for name, _ in tf.train.list_variables(str(several["frozen"][0].path / "variables" / "variables"))]
    assert {name.split("/")[1] for name in names if name.startswith("weights")} == {"1", "2", "3"}
    single = [name for name, _ in tf.train.list_variables(str(exported["moving"].path / "variables" / "variables"))]
    assert "weights/logits/bias/.ATTRIBUTES/VARIABLE_VALUE" in single
    assert exported["moving"].description.members == read_description(exported["moving"].path).members == 1
