"""A model under another name, with other tiles and labels; models that differ in nothing but their training as one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.jobs.exporting import _common, _tiled
from keras_unet3d.serving.description import ModelDescription, read_description
from keras_unet3d.serving.export import export_model, served_network
from keras_unet3d.serving.saved_model import LoadedModel

CLASSES = [{"value": 0, "name": "background"}, {"value": 1, "name": "cell"}]


def described(**changes):
    return ModelDescription.model_validate(
        {
            "classes": CLASSES,
            "channels": ["grey"],
            "normalization": "batch",
            "filters": 2,
            "geometry": {"padding": "same", "depth": 1},
            "spacing": (2.0, 1.0, 1.0),
            "unit": "mm",
        }
        | changes
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory, random_network):
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate("abc"):
        network = random_network(1, 2, filters=2, depth=1, padding="same", normalization="batch", seed=seed)
        export_model(network, folder / name, described(training={"steps": seed}))
    return folder


@pytest.mark.slow
def test_the_labels_are_those_of_all_models_averaged(models, tmp_path):
    """An ensemble of an ensemble and a model counts every network once."""
    two = unet3d.export([models / "a", models / "b"], tmp_path / "two").model
    three = unet3d.export([two, unet3d.load_model(models / "c")], tmp_path / "three").model
    assert three == tmp_path / "three" / "1"
    loaded = unet3d.load_model(three)
    assert (loaded.description.members, len(loaded.networks)) == (3, 3)
    assert [each["model"] for each in loaded.description.training["averaged"]] == [str(two), str(models / "c" / "1")]

    voxels = np.random.default_rng(0).normal(size=(9, 20, 21, 1)).astype(np.float32)
    image = unet3d.Volume(voxels, unet3d.Grid((9, 20, 21), (2.0, 1.0, 1.0), unit="mm"))
    options = unet3d.SegmentOptions(precision="float32", probabilities=True)
    one = unet3d.segment(image, model=loaded, options=options)
    all_three = unet3d.segment(image, model=[models / name for name in "abc"], options=options)
    assert (one.plan.tiles, one.plan.demand) == (all_three.plan.tiles, all_three.plan.demand)
    assert one.plan.demand.members == 3
    np.testing.assert_allclose(one.probabilities.voxels, all_three.probabilities.voxels, atol=1e-6)
    margin = np.abs(np.diff(one.probabilities.voxels, axis=-1))[..., 0] > 1e-4
    np.testing.assert_array_equal(loaded.segment_volume(voxels)[margin], one.labels.voxels[margin])


def test_what_is_known_of_all_is_known_of_the_mean():
    first = described(bfloat16={"background": 1.0, "cell": 0.9995}, mirrored_axes=["z", "y"], settings={"seed": 0})
    second = described(bfloat16={"background": 0.9999, "cell": None}, mirrored_axes=["y", "x"], spacing=(3, 1, 1))
    common = _common([("a", first), ("b", second)])
    assert common.bfloat16 == {"background": 0.9999, "cell": 0.9995}
    assert common.mirrored_axes == ("y",)
    assert (common.spacing, common.unit, common.settings) == (None, "", {})
    assert common.created > first.created
    unseen = _common([("a", first), ("b", second.model_copy(update={"bfloat16": None}))])
    assert unseen.bfloat16 is None
    assert not unseen.bfloat16_agrees


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"filters": 4}, "b: its filters is 4, that of a 2. Only models"),
        ({"statistics": "current"}, "statistics"),
        ({"unlabeled": 7}, "unlabeled"),
        ({"intensity": {"windows": {"grey": {"low": 0, "high": 1, "offset": 0, "scale": 1}}}}, "intensity"),
        ({"resampled": True}, "resampled"),
    ],
)
def test_models_of_different_kinds_are_refused(changes, told):
    with pytest.raises(unet3d.InputError, match=told):
        _common([("a", described()), ("b", described(**changes))])


def test_models_that_expect_different_spacings_are_refused(tmp_path):
    models = [
        LoadedModel(Path(name), described(resampled=True, spacing=spacing))
        for name, spacing in (("a", (2, 1, 1)), ("b", (1, 1, 1)))
    ]
    with pytest.raises(unet3d.InputError, match="b: expects voxels of"):
        unet3d.export(models, tmp_path / "both")
    assert _common([(model.path.name, model.description) for model in models]).spacing == (2, 1, 1)


def variables(model):
    return [each.numpy() for network in unet3d.load_model(model).networks for each in network.variables]


def test_one_model_is_the_same_under_another_name(models, tmp_path):
    """Its tiles, its training and the day that it was made stay."""
    made = unet3d.export(models / "a", tmp_path / "kidney")
    assert (made.model, made.is_new, made.served.only) == (tmp_path / "kidney" / "1", True, None)
    before, after = read_description(models / "a"), read_description(made.model)
    assert after == before.model_copy(update={"package_version": after.package_version})
    for old, new in zip(variables(models / "a"), variables(made.model), strict=True):
        np.testing.assert_array_equal(new, old)
    named = f"TensorFlow Serving: Named in {tmp_path / 'models.config'}; "
    assert made.sentence == f"{named}monitoring.config, batching.config, README.md beside it are new."


def test_statistics_of_what_is_given_stay_such(tmp_path, random_network):
    """What is loaded has normalisations by layer in their place; exported again, it keeps them."""
    network = random_network(1, 2, filters=2, depth=1, padding="same", normalization="batch")
    export_model(network, tmp_path / "model", described(statistics="current", tile=(20, 20, 20)))
    loaded = unet3d.load_model(tmp_path / "model")
    tiles = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 1)).astype(np.float32)
    again = served_network(loaded.network, loaded.description)
    np.testing.assert_array_equal(again(tiles), loaded.network(tiles))


def test_tiles_are_those_that_are_asked_for(models, tmp_path):
    tiled = unet3d.export(models / "a", tmp_path / "tiled", tile=(20, 22, 24)).model
    assert read_description(tiled).tile == (20, 22, 24)
    small = _tiled(read_description(models / "a"), None, 4e6)
    assert 10 * small.size.held_whole(small.tile) <= 4e6 < 10 * small.size.held_whole([side + 2 for side in small.tile])
    image = np.random.default_rng(0).normal(size=(9, 40, 41, 1)).astype(np.float32)
    whole, tiled = (unet3d.load_model(each) for each in (models / "a", tiled))
    assert (whole.segment_volume(image) != tiled.segment_volume(image)).mean() < 1e-4


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"tile": (19, 20, 21)}, "takes no tiles of x=21 y=20 z=19. The next that it does: --tile 'x=22 y=20 z=20'"),
        ({"tile": (2, 20, 20)}, "--tile 'x=20 y=20 z="),
        ({"memory": 1000}, "takes at least 2 MB; 0 MB were given"),
        ({"tile": (20, 20, 20), "memory": 4e6}, "Received: both"),
        ({"label": "blue green"}, "Expected a label of letters"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_made(asked, told, models, tmp_path):
    with pytest.raises(unet3d.InputError, match=told):
        unet3d.export(models / "a", tmp_path / "new", **asked)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(unet3d.InputError, match="would be a version of a model"):
        unet3d.export(models / "a", tmp_path / "3")
    with pytest.raises(unet3d.InputError, match="at least one model"):
        unet3d.export([], tmp_path / "new")


def test_a_label_is_for_the_new_version_or_for_one_that_is_there(models, tmp_path):
    for version in "12":
        shutil.copytree(models / "a" / "1", tmp_path / "kidney" / version)
    stable = unet3d.export(tmp_path / "kidney" / "1", tmp_path / "kidney", label="stable")
    assert (stable.model, stable.is_new, stable.served.only) == (tmp_path / "kidney" / "1", False, (1, 2))
    assert [each.name for each in sorted((tmp_path / "kidney").iterdir())] == ["1", "2"]
    assert stable.sentence.endswith("; versions 1, 2 are served.")
    canary = unet3d.export(models / "b", tmp_path / "kidney", label="canary")
    assert (canary.model.name, canary.is_new, canary.served.only) == ("3", True, (1, 3))
    text = (tmp_path / "models.config").read_text(encoding="utf-8")
    assert text.count("version_labels") == 2


def test_a_config_that_cannot_be_read_is_kept_and_nothing_is_exported(models, tmp_path):
    (tmp_path / "models.config").write_text("model_config_list {", encoding="utf-8")
    with pytest.raises(
        unet3d.InputError, match=r"models.config: .* cannot be kept up to date \(line 1: .*stays as it is"
    ):
        unet3d.export(models / "a", tmp_path / "kidney")
    assert [each.name for each in tmp_path.iterdir()] == ["models.config"]
    assert (tmp_path / "models.config").read_text(encoding="utf-8") == "model_config_list {"


def test_what_users_wrote_beside_is_kept(models, tmp_path):
    """A page, a file for Prometheus, and the versions that they confined a model to."""
    (tmp_path / "README.md").write_text("Mine.", encoding="utf-8")
    pinned = 'model_config_list { config { name: "kidney" model_version_policy { specific { versions: 1 } } } }'
    (tmp_path / "models.config").write_text(pinned, encoding="utf-8")
    shutil.copytree(models / "a", tmp_path / "kidney")
    made = unet3d.export(models / "b", tmp_path / "kidney")
    assert "; version 1 is served, 2 is not: give it a label (--label)." in made.sentence
    assert [file.name for file in made.served.written] == ["monitoring.config", "batching.config"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "Mine."
    assert (tmp_path / "models.config").read_text(encoding="utf-8") == pinned
    assert json.loads((made.model / "assets.extra" / "unet3d.json").read_text())["training"] == {"steps": 1}
