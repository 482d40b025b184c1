"""Models that differ in nothing but their training become one."""

from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.jobs.ensembling import _common
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.export import export_model
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
    two = unet3d.export_ensemble([models / "a", models / "b"], tmp_path / "two")
    three = unet3d.export_ensemble([two, unet3d.load_model(models / "c")], tmp_path / "three")
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
        unet3d.export_ensemble(models, tmp_path / "both")
    assert _common([(model.path.name, model.description) for model in models]).spacing == (2, 1, 1)


def test_one_model_is_no_ensemble(models, tmp_path):
    with pytest.raises(unet3d.InputError, match="two models or more"):
        unet3d.export_ensemble([models / "a"], tmp_path / "one")
    assert not (tmp_path / "one").exists()
