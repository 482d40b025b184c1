"""A run that continues keeps what was decided, but for what may change."""

import json

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.jobs.fitting import FitPlan, _continued
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.settings import Settings, read_settings


def plan(settings):
    decisions = (Decision("batch_size", "2", "as always"), Decision("recompute", "true", "memory is short now"))
    return FitPlan(None, None, settings, decisions)


def test_what_was_decided_stays_and_only_such_decisions_are_said():
    decided = Settings(batch_size=4, recompute=False)
    continued = _continued(plan(Settings(batch_size=2, recompute=True)), decided, Settings())
    assert continued.settings == decided
    assert continued.decisions == ()
    again = _continued(plan(Settings(batch_size=4, recompute=True)), decided, Settings())
    assert [each.setting for each in again.decisions] == ["batch_size"]


def test_what_changes_rounding_only_is_taken_as_given_now():
    decided = Settings(batch_size=4, recompute=False)
    given = Settings(recompute=True, augment_on="cpu", seed=9)
    settings = _continued(plan(Settings(batch_size=4, recompute=True)), decided, given).settings
    assert (settings.recompute, settings.augment_on, settings.batch_size, settings.seed) == (True, "cpu", 4, 0)


@pytest.fixture
def ct(tmp_path):
    """Two cases, dark around an organ of 100 HU; one was recorded with far more air around it."""
    (tmp_path / "ct" / "images").mkdir(parents=True)
    (tmp_path / "ct" / "labels").mkdir()
    labels = np.zeros((8, 16, 16), np.uint8)
    labels[2:6, 4:12, 4:12] = 1
    for name, air in (("a", -100), ("b", -1000)):
        voxels = np.where(labels, 100, air) + np.random.default_rng(0).normal(0, 10, labels.shape)
        image = unet3d.Volume(voxels.astype(np.float32)[..., None], unet3d.Grid(labels.shape))
        unet3d.write_image(tmp_path / "ct" / "images" / f"{name}.nii.gz", image)
        unet3d.write_labels(tmp_path / "ct" / "labels" / f"{name}.nii.gz", image.with_voxels(labels))
    description = {"labels": {"background": 0, "organ": 1}, "channel_names": {"0": "CT"}}
    (tmp_path / "ct" / "dataset.json").write_text(json.dumps(description))
    return tmp_path / "ct"


@pytest.mark.slow
def test_ct_is_trained_exported_and_segmented_with_one_window(ct, tmp_path):
    settings = read_settings(
        None, {"steps": 2, "network.filters": 2, "network.depth": 1, "tile": "x=16 y=16 z=8", "hold_out": "cases"}
    )
    fitted = unet3d.fit(ct, settings, models=tmp_path / "models", runs=tmp_path / "runs")
    model = unet3d.load_model(fitted.model)
    (window,) = model.description.intensities.windows.values()
    assert 70 < window.low < window.offset < window.high < 130
    assert read_settings(fitted.run / "settings.toml").intensity.windows == {"CT": window}
    for name in "ab":
        file = ct / "images" / f"{name}.nii.gz"
        voxels = unet3d.read_image(file).voxels
        found = unet3d.segment(file, model=model, options=unet3d.SegmentOptions(probabilities=True))
        sure = np.ptp(found.probabilities.voxels, axis=-1) > 1e-4
        np.testing.assert_array_equal(model.segment_volume(voxels)[sure], found.labels.voxels[sure])
        np.testing.assert_allclose(model.served_intensity(voxels), [[window.offset, window.scale]], rtol=1e-6)
