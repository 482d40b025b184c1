"""The models in this repository: small, described, and as good as they say."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import keras_unet3d as unet3d
from keras_unet3d.metrics import Overlap
from keras_unet3d.phantom import CHANNELS, kidney
from keras_unet3d.serving.models_config import with_model
from keras_unet3d.serving.served_folder import name_to_server
from keras_unet3d.serving.versions import version_folder, versions
from keras_unet3d.serving.warm_up import WARM_UP_FILE

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
HIPPOCAMPUS = ROOT.parent / "shared" / "data" / "hippocampus"


def test_models_stay_small_and_have_a_card():
    """Beside them, and in the same file, a user's own may be."""
    config = (MODELS / "models.config").read_text(encoding="utf-8")
    shipped = re.findall(r"\[card\]\((.+)/README.md\)", (MODELS / "README.md").read_text(encoding="utf-8"))
    assert shipped == ["kidney-phantom", "hippocampus"]
    for name in shipped:
        assert (MODELS / name / "README.md").is_file()
        assert with_model(config, name, versions(MODELS / name)) == config
        assert f'base_path: "/models/{name}"' in config
        assert (version_folder(MODELS / name) / WARM_UP_FILE).is_file()
    assert sum(file.stat().st_size for name in shipped for file in (MODELS / name).rglob("*") if file.is_file()) < 40e6


def test_what_lies_beside_them_is_what_an_export_writes(tmp_path):
    shutil.copytree(
        MODELS / "kidney-phantom" / "1" / "assets.extra", tmp_path / "kidney-phantom" / "1" / "assets.extra"
    )
    (tmp_path / "kidney-phantom" / "1" / "saved_model.pb").touch()
    for file in name_to_server(tmp_path / "kidney-phantom" / "1").written:
        written, kept = (_without_version(folder / file.name) for folder in (tmp_path, MODELS))
        assert kept.startswith(written.removesuffix("}\n")), file.name


def _without_version(file):
    return re.sub(r"TensorFlow\s[\d.]+", "TensorFlow", file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def kidney_model():
    return unet3d.load_model(MODELS / "kidney-phantom")


@pytest.mark.parametrize(("seed", "least"), [((0, 0), 0.84), ((0, 2), 0.84), ((7, 0), 0.8), ((8, 1), 0.8)])
def test_the_network_sees_what_no_voxel_tells(kidney_model, seed, least):
    """The best classifier of single voxels stays below 0.6 on each (tests/phantom). The last two were never seen."""
    phantom = kidney((32, 96, 96), seed)
    image = unet3d.Volume(phantom.image, phantom.grid, CHANNELS)
    found = unet3d.segment(image, model=kidney_model).labels.voxels
    assert Overlap.of(phantom.truth, found, 3).mean_iou > least


def test_the_hippocampus_model_is_whole():
    """Its graph and this package give the same labels to a cloudy volume, all three of them; the data is elsewhere."""
    model = unet3d.load_model(MODELS / "hippocampus")
    clouds = gaussian_filter(np.random.default_rng(0).normal(0, 1, (36, 50, 35)), 2.5)[..., None].astype(np.float32)
    volume = unet3d.Volume(clouds, unet3d.Grid(clouds.shape[:3], (1.0, 1.0, 1.0), unit="mm"))
    found = unet3d.segment(volume, model=model, options=unet3d.SegmentOptions(precision="float32")).labels.voxels
    np.testing.assert_array_equal(model.segment_volume(clouds), found)
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.skipif(not HIPPOCAMPUS.is_dir(), reason="the hippocampus set is not there")
def test_both_parts_of_the_hippocampus_are_found():
    """In cases that it learned from: they say that the model is whole, not how good it is elsewhere."""
    model = unet3d.load_model(MODELS / "hippocampus")
    for file in sorted((HIPPOCAMPUS / "labels").iterdir())[::52]:
        truth = unet3d.read_labels(file)
        found = unet3d.segment(HIPPOCAMPUS / "images" / file.name, model=model).labels
        assert found.grid == truth.grid
        assert Overlap.of(truth.voxels, found.voxels, 3).dice[1:].min() > 0.85, file.name
