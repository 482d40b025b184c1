import json
from pathlib import Path

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


def test_the_table_has_classes_and_mean_and_says_why_sparse_labels_have_no_distances(unet3d, pair):
    shown = unet3d("evaluate", *pair, "--unlabeled", 9)
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines() if line.strip() and "─" not in line]
    assert rows[1] == ["class", "value", "voxels", "IoU", "Dice", "precision", "recall", "difference"]
    assert rows[3][-5:] == ["0.400", "0.571", "0.667", "0.500", "-25.0%"]
    assert rows[4][0] == "mean"
    assert "overlap alone is measured" in shown.stdout
    assert "HD95" not in shown.stdout


def test_dense_labels_have_distances_in_their_unit(unet3d, pair):
    """9 is a class here, and missed. Cells at x=0 to 3, found at x=2 and 3, and one invented a slice of 2 mm below.

    The missed ones are 1 mm and 0.5 mm from the found, the invented one 2 mm from a true one: 6 of 7 are within 1 mm.
    """
    shown = unet3d("evaluate", *pair, "--tolerance", "1 mm", "--dense")
    rows = [line.split() for line in shown.stdout.splitlines()]
    (cell,) = [row[2:] for row in rows if row[:2] == ["label", "1"] and len(row) == 6]
    assert [cell[0], cell[3]] == ["2", "0.857"]
    assert ["label", "9", "∞", "∞", "∞", "0.000"] in rows
    assert "within 1 mm" in shown.stdout
    assert "only one of truth and prediction has the class" in shown.stdout
    plain = json.loads(unet3d("evaluate", *pair, "--json", "--dense").stdout)
    assert plain["surfaces"] == {"unit": "mm", "tolerance": 2, "not_measured": None}
    assert plain["classes"][2]["hausdorff"] is None


@pytest.fixture
def folders(write):
    """Twelve cells in each of three cases; of them 12, 9 and 6 are found by one, all but one by the other."""
    for number, name in enumerate("abc"):
        truth = np.zeros((2, 12, 12), np.uint8)
        truth[0, 0] = 5
        for folder, missed in (("truth", 0), ("found", 3 * number), ("before", 1)):
            labels = truth.copy()
            labels[0, 0, :missed] = 0
            write(f"{folder}/{name}.nii.gz", labels)


def test_folders_give_a_table_of_cases_the_worst_first_and_their_spread(unet3d, folders):
    """Dice of the cells 1, 18 / 21 and 12 / 18: their mean is 0.841."""
    shown = unet3d("evaluate", "found", "truth", "--dense", "--csv", "scores.csv")
    assert shown.exit_code == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert [row[1] for row in rows if row[:1] in (["a"], ["b"], ["c"])] == ["0.667", "0.857", "1.000"]
    dice = np.array([1, 18 / 21, 12 / 18])
    assert f"{dice.mean():.3f} ± {dice.std(ddof=1):.3f}" in shown.stdout
    assert "0.667 to 1.000" in shown.stdout
    assert "An interval of 3 cases says little" in shown.stdout
    assert Path("scores.csv").read_text(encoding="utf-8").splitlines()[1].startswith("c,288,")
    plain = json.loads(unet3d("evaluate", "found", "truth", "--dense", "--json").stdout)
    assert [case["case"] for case in plain["cases"]] == ["c", "b", "a"]
    assert plain["classes"][1]["dice"]["mean"] == pytest.approx(dice.mean())
    assert plain["classes"][1]["hausdorff"]["interval"] == [0, 3]


def test_two_predictions_are_set_beside_each_other(unet3d, folders):
    """The other found 11 of 12: a Dice of 22 / 23 in each case."""
    shown = unet3d("evaluate", "found", "truth", "--dense", "--against", "before")
    assert shown.exit_code == 0, shown.stderr
    row = next(line.split() for line in shown.stdout.splitlines() if line.startswith(" Dice, label 5"))
    assert row[3:6] == ["0.841", "0.957", "-0.115"]
    assert "p cannot be below 0.25" in shown.stdout
    assert "of HD, HD95, ASSD below 0" in shown.stdout
    plain = json.loads(unet3d("evaluate", "found", "truth", "--dense", "--against", "before", "--json").stdout)
    assert plain["against"]["cases"] == ["c", "b", "a"]
    assert plain["against"]["classes"][1]["dice"]["difference"]["mean"] == pytest.approx(
        (1 + 18 / 21 + 12 / 18) / 3 - 22 / 23
    )
    one = unet3d("evaluate", "found/b.nii.gz", "truth/b.nii.gz", "--dense", "--against", "before/b.nii.gz")
    assert "1 case of both" in one.stdout
    assert "Wilcoxon" not in one.stdout


def test_a_few_painted_slices_are_scored_where_it_is_said_which_they_are(unet3d, folders):
    done = unet3d("evaluate", "found", "truth")
    assert done.exit_code == 2
    assert done.stderr.count("--annotated-slices 'a:z=0' if 0 is background in these slices") == 1
    plain = json.loads(unet3d("evaluate", "found", "truth", "--annotated-slices", "z=0", "--json").stdout)
    assert [case["voxels"] for case in plain["cases"]] == [144] * 3
    assert "overlap alone" in plain["surfaces"]["not_measured"]
    shown = unet3d("evaluate", "found", "truth", "--annotated-slices", "z=0", "--against", "before", "--csv", "s.csv")
    assert shown.exit_code == 0, shown.stderr
    assert "HD" not in shown.stdout + Path("s.csv").read_text(encoding="utf-8")
    assert "A row leaves out" not in shown.stdout


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_scored(unet3d, folders):
    done = unet3d("evaluate", "nothing", "truth", "--csv", "nowhere/scores.csv")
    assert done.exit_code == 2
    assert "nowhere" in done.stderr
    assert "nothing" not in done.stderr


def test_what_was_not_scored_is_said(unet3d, folders):
    Path("found/b.nii.gz").unlink()
    done = unet3d("evaluate", "found", "truth", "--dense")
    assert "Warning: truth: 1 volume without a prediction, not scored: b." in done.stderr


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
