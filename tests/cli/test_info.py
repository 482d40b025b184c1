import json

import pytest

from keras_unet3d.serving.description import DESCRIPTION_FILE


def test_the_text_names_axes_units_and_scores(unet3d, model):
    done = unet3d("info", model)
    assert done.exit_code == 0, done.stderr
    for told in ("x=0.5 y=1 z=2 µm", "nuclei", "1,195,171 parameters", "92, 100, 108", "88 voxels are lost", "0.900"):
        assert told in done.stdout
    assert "7 steps in 0.5 minutes on 1,000 labelled voxels of 2 cases" in done.stdout
    assert "IoU 0.900" in done.stdout


def test_a_working_spacing_is_what_it_expects(unet3d, model):
    file = model / "3" / DESCRIPTION_FILE
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"resampled": True}))
    assert "expects voxels of x=0.5 y=1 z=2 µm (segment resamples" in unet3d("info", model).stdout
    assert json.loads(unet3d("info", model, "--json").stdout)["resampled"] is True


def test_the_json_has_names_of_channels_and_axes(unet3d, model):
    plain = json.loads(unet3d("info", model / "3", "--json").stdout)
    assert plain["channels"] == ["nuclei"]
    assert plain["spacing"] == {"z": 2.0, "y": 1.0, "x": 0.5}
    assert plain["unit"] == "µm"
    assert [each["name"] for each in plain["classes"]] == ["background", "cell"]
    assert plain["unlabeled"] == 9
    assert plain["bytes"] > 1000
    assert plain["geometry"]["minimum"] == {"z": 92, "y": 92, "x": 92}


def test_axes_that_are_not_pooled_alike_are_told_apart(unet3d, model):
    assert "levels without pooling" not in unet3d("info", model).stdout
    file = model / "3" / DESCRIPTION_FILE
    geometry = {"padding": "valid", "depth": 3, "unpooled": [1, 0, 0]}
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"geometry": geometry}))
    told = unet3d("info", model).stdout
    assert "depth 3, unpadded, levels without pooling: x=0 y=0 z=1" in told
    assert "of 92, 100, 108, … along x; 92, 100, 108, … along y; 52, 56, 60, … along z; x=88 y=88 z=48 voxels" in told


def test_the_folder_may_be_named_with_or_without_the_version(unet3d, model, monkeypatch):
    for name in (model, f"{model}/", model / "3"):
        plain = json.loads(unet3d("info", name, "--json").stdout)
        assert (plain["model"], plain["version"]) == (str(model / "3"), "3")
    monkeypatch.chdir(model / "3")
    plain = json.loads(unet3d("info", ".", "--json").stdout)
    assert (plain["model"], plain["version"]) == (".", "3")


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (None, "not checked, so that --precision auto is float32"),
        (
            {"background": 0.9999, "cell": 0.9992},
            "gives the labels of float32 (Dice between the two: background 0.9999",
        ),
        (
            {"background": 1.0, "cell": None},
            "gives the labels of float32 (Dice between the two: background 1.0000, cell –",
        ),
        (
            {"background": 0.9999, "cell": 0.95},
            "gives other labels than float32 (Dice between the two: background 0.99",
        ),
    ],
)
def test_whether_bfloat16_gives_the_same_labels(unet3d, model, seen, told):
    file = model / "3" / DESCRIPTION_FILE
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"bfloat16": seen}))
    assert f"bfloat16:      {told}" in unet3d("info", model).stdout
    assert json.loads(unet3d("info", model, "--json").stdout)["bfloat16"] == seen


def test_several_networks_and_their_cross_validation(unet3d, model):
    file = model / "3" / DESCRIPTION_FILE
    plain = json.loads(file.read_text(encoding="utf-8"))
    dice = {"mean": 0.875, "standard_deviation": 0.025, "cases": 20}
    trained = plain["training"] | {"cross_validation": {"classes": [], "mean": {"iou": dice, "dice": dice}}}
    file.write_text(json.dumps(plain | {"members": 5, "training": trained}))
    out = unet3d("info", model).stdout
    assert "network:       5 networks, averaged: 1,195,171 parameters" in out
    assert "over cases:    Dice 0.875 ± 0.025, of 20 cases that were left out" in out
    averaged = [{"model": "models/a/1", "steps": 3}, {"model": "models/b/2"}]
    file.write_text(json.dumps(plain | {"members": 2, "training": {"averaged": averaged}}))
    assert "trained:       as models/a/1, models/b/2\n" in unet3d("info", model).stdout


def test_what_is_no_model_is_said(unet3d, tmp_path):
    for wrong in ("nothing", tmp_path):
        done = unet3d("info", wrong)
        assert done.exit_code == 2
        assert str(wrong) in done.stderr


def test_what_becomes_of_raw_intensities_is_said(unet3d, model):
    by_volume = (
        "by mean and standard deviation of each channel over the whole volume, once values are drawn in to 10 stan"
    )
    assert f"intensities:   {by_volume}" in unet3d("info", model).stdout
    file = model / "3" / DESCRIPTION_FILE
    windows = {"windows": {"nuclei": {"low": -160, "high": 240, "offset": 50.25, "scale": 40}}}
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"intensity": windows}))
    told = unet3d("info", model).stdout
    assert "intensities:   nuclei from -160 to 240, minus 50.25, by 40\n" in told
    assert "drawn in" not in told
    assert json.loads(unet3d("info", model, "--json").stdout)["intensity"]["windows"] == windows["windows"]
