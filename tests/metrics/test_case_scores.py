"""Scores of cases and their spread, by hand."""

import csv
import json
import math

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import CaseScores, Overlap, Ruler, Scores, ScoreTable, Surfaces
from keras_unet3d.metrics.measures import ASSD, HAUSDORFF
from keras_unet3d.volumes import Grid

SCHEME = LabelScheme((0, 5), ("background", "cell, red"))


def overlap(*matrix):
    return Overlap(np.array(matrix, np.int64))


def case(name, fold, overlap):
    return CaseScores(name, overlap, Scores.of(overlap, SCHEME), fold)


@pytest.fixture
def table():
    """Dice of the cell: 1, 2·1 / (2·1 + 1 + 1) = 0.5, and none where neither truth nor prediction has it."""
    cases = [
        case("good", 1, overlap([8, 0], [0, 2])),
        case("bad", 2, overlap([8, 1], [1, 1])),
        case("empty", 2, overlap([3, 0], [0, 0])),
    ]
    return ScoreTable(cases, SCHEME)


def test_a_class_that_a_case_does_not_have_is_left_out_of_its_mean(table):
    background, cell = table.dice
    assert (cell.mean, cell.deviation, cell.cases) == (0.75, pytest.approx(math.sqrt(0.125)), 2)
    assert (background.mean, background.cases) == (pytest.approx((1 + 16 / 18 + 1) / 3), 3)
    assert table.mean_dice.mean == pytest.approx((1 + (16 / 18 + 0.5) / 2 + 1) / 3)
    assert table.iou[1].mean == pytest.approx((1 + 1 / 3) / 2)


def test_the_worst_case_is_first_and_what_cannot_be_scored_last():
    matrices = {"a": ([1, 0], [0, 1]), "b": ([0, 1], [1, 0]), "none": ([0, 0], [0, 0])}
    cases = [case(name, 1 + (name == "b"), overlap(*matrix)) for name, matrix in matrices.items()]
    assert [(each.name, each.fold) for each in ScoreTable(cases, SCHEME).cases] == [("b", 2), ("a", 1), ("none", 1)]


def test_all_voxels_together_are_scored_as_one(table):
    """Of the cell: 3 true ones found, one missed, one invented."""
    assert table.pooled.classes[1].dice == pytest.approx(6 / 8)
    assert table.pooled.voxels == 8 + 2 + 11 + 3


def test_as_text_for_other_programs(table):
    plain = json.loads(json.dumps(table.as_json(), allow_nan=False))
    assert [case["case"] for case in plain["cases"]] == ["bad", "empty", "good"]
    assert plain["cases"][1]["classes"][1]["dice"] is None
    of_cell = plain["classes"][1]["dice"]
    assert (of_cell["mean"], of_cell["standard_deviation"], of_cell["cases"]) == (0.75, pytest.approx(0.125**0.5), 2)
    assert of_cell["interval"] == [0.5, 1]
    assert "surfaces" not in plain
    header, first, second, _ = table.as_csv().splitlines()
    columns = header.split(",", maxsplit=12)
    assert columns[:5] == ["case", "fold", "labelled voxels", "background IoU", "background Dice"]
    assert columns[7] == "background volume difference"
    assert '"cell, red IoU"' in header
    assert header.endswith(",mean IoU,mean Dice,mean precision,mean recall,mean volume difference")
    assert first.startswith(
        "bad,2,11,0.800000,0.888889,0.888889,0.888889,0.000000,0.333333,0.500000,0.500000,0.500000,"
    )
    assert (
        second
        == "empty,2,3,1.000000,1.000000,1.000000,1.000000,0.000000,,,,,,1.000000,1.000000,1.000000,1.000000,0.000000"
    )


@pytest.fixture
def measured():
    """A line of three cells in a box: found, one voxel beside, and missed."""
    grid = Grid((3, 3, 7), (1, 1, 2), unit="µm")
    truth, ruler = np.zeros(grid.shape, np.int16), Ruler.of([grid])
    truth[1, 1, 2:5] = 1
    cases = []
    for name, prediction in (("found", truth), ("beside", np.roll(truth, 1, axis=0)), ("missed", 0 * truth)):
        overlap = Overlap.of(truth, prediction, 2)
        surfaces = Surfaces.of(truth, prediction, 2, ruler, background=0)
        cases.append(CaseScores(name, overlap, Scores.of(overlap, SCHEME, surfaces)))
    return ScoreTable(cases, SCHEME)


def test_an_infinite_distance_is_counted_and_in_no_mean(measured):
    spread = measured.spread(HAUSDORFF, 1)
    assert (spread.mean, spread.cases, spread.infinite) == (0.5, 2, 1)
    assert measured.spread(HAUSDORFF, 0).cases == 0
    assert measured.spread(ASSD) == measured.spread(ASSD, 1)  # the background is in no mean
    assert measured.unit == "µm"


def test_distances_in_files_carry_their_unit(measured):
    plain = json.loads(json.dumps(measured.as_json(), allow_nan=False))
    assert plain["surfaces"] == {"unit": "µm", "tolerance": 2, "not_measured": None}
    assert plain["classes"][1]["assd"]["infinite"] == 1
    (missed,) = (case for case in plain["cases"] if case["case"] == "missed")
    assert missed["classes"][1]["hausdorff"] is None
    assert (missed["classes"][1]["voxels"], missed["classes"][1]["predicted_voxels"]) == (3, 0)
    rows = list(csv.DictReader(measured.as_csv().splitlines()))
    assert [row["cell, red HD95 (µm)"] for row in rows] == ["1.000000", "inf", "0.000000"]
    assert "fold" not in rows[0]
