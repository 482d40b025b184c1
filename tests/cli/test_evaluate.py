import json

import numpy as np
import pytest


@pytest.fixture
def pair(write):
    """4 voxels of class 1 in the truth, 2 of them found, 1 invented; 9 unlabelled; the rest class 0."""
    truth, prediction = np.zeros((2, 12, 12), np.uint8), np.zeros((2, 12, 12), np.uint8)
    truth[0, 0, :4] = 1
    prediction[0, 0, 2:4] = 1
    prediction[1, 0, 0] = 1
    truth[1, 5, :9] = 9
    return write("prediction.nii.gz", prediction), write("truth.nii.gz", truth)


def test_scores_by_hand(unet3d, pair):
    plain = json.loads(unet3d("evaluate", *pair, "--unlabeled", 9, "--json").stdout)
    background, cell = plain["classes"]
    assert cell["iou"] == pytest.approx(2 / 5)
    assert cell["dice"] == pytest.approx(4 / 7)
    assert (cell["voxels"], plain["voxels"]) == (4, 2 * 144 - 9)
    assert background["iou"] == pytest.approx((279 - 5) / (279 - 2))
    assert plain["mean"]["iou"] == pytest.approx((background["iou"] + cell["iou"]) / 2)


def test_the_table_has_classes_and_mean(unet3d, pair):
    shown = unet3d("evaluate", *pair, "--unlabeled", 9)
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines() if line.strip() and "─" not in line]
    assert rows[0] == ["class", "value", "voxels", "IoU", "Dice"]
    assert rows[2][-2:] == ["0.400", "0.571"]
    assert rows[3][0] == "mean"


def test_a_model_names_the_classes_and_the_unlabelled_value(unet3d, write, model):
    truth = np.zeros((2, 12, 12), np.uint8)
    truth[0], truth[1, :6] = 5, 9
    paths = write("p.nii.gz", np.where(truth == 9, 0, truth)), write("t.nii.gz", truth)
    plain = json.loads(unet3d("evaluate", *paths, "--model", model, "--json").stdout)
    assert [each["name"] for each in plain["classes"]] == ["background", "cell"]
    assert plain["voxels"] == 216
    assert plain["mean"]["iou"] == 1


def test_other_grids_are_refused_with_both_sizes(unet3d, write):
    done = unet3d(
        "evaluate", write("p.nii", np.zeros((2, 3, 4), np.uint8)), write("t.nii", np.zeros((2, 3, 5), np.uint8))
    )
    assert done.exit_code == 2
    assert "x=4 y=3 z=2" in done.stderr
    assert "x=5 y=3 z=2" in done.stderr
