"""The models in this repository: small, described, and as good as they say."""

import re
from pathlib import Path

import pytest

import keras_unet3d as unet3d
from keras_unet3d.metrics import Overlap
from keras_unet3d.phantom import CHANNELS, kidney

MODELS = Path(__file__).parents[2] / "models"


def test_models_stay_small_and_have_a_card():
    """Those that are served; beside them a user's own may lie."""
    config = (MODELS / "models.config").read_text(encoding="utf-8")
    served = re.findall(r'name: "(.+)"', config)
    assert served
    assert re.findall(r'base_path: "/models/(.+)"', config) == served
    for name in served:
        assert (MODELS / name / "README.md").is_file()
        assert f"[card]({name}/README.md)" in (MODELS / "README.md").read_text(encoding="utf-8")
    assert sum(file.stat().st_size for name in served for file in (MODELS / name).rglob("*") if file.is_file()) < 40e6


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
