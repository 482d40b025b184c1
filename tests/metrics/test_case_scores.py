"""Scores of cases and their spread, by hand."""

import json
import math

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import Overlap, ScoreTable, Spread

SCHEME = LabelScheme((0, 5), ("background", "cell, red"))


def overlap(*matrix):
    return Overlap(np.array(matrix, np.int64))


@pytest.fixture
def table():
    """Dice of the cell: 1, 2·1 / (2·1 + 1 + 1) = 0.5, and none where neither truth nor prediction has it."""
    cases = [
        ("good", 1, overlap([8, 0], [0, 2])),
        ("bad", 2, overlap([8, 1], [1, 1])),
        ("empty", 2, overlap([3, 0], [0, 0])),
    ]
    return ScoreTable(cases, SCHEME)


def test_mean_and_deviation_of_a_sample():
    """1, 2, 3, 4: the mean 2.5, the variance (2.25 + 0.25 + 0.25 + 2.25) / 3."""
    assert Spread.over([1, 2, math.nan, 3, 4]) == Spread(2.5, pytest.approx(math.sqrt(5 / 3)), 4)
    assert math.isnan(Spread.over([0.5]).deviation)
    assert Spread.over([0.5]).mean == 0.5
    assert [str(Spread.over(scores)) for scores in ([0.9, 0.8], [0.5], [])] == ["0.850 ± 0.071", "0.500", "–"]
    assert Spread.over([]).as_json() == {"mean": None, "standard_deviation": None, "cases": 0}


def test_a_class_that_a_case_does_not_have_is_left_out_of_its_mean(table):
    background, cell = table.dice
    assert (cell.mean, cell.deviation, cell.cases) == (0.75, pytest.approx(math.sqrt(0.125)), 2)
    assert (background.mean, background.cases) == (pytest.approx((1 + 16 / 18 + 1) / 3), 3)
    assert table.mean_dice.mean == pytest.approx((1 + (16 / 18 + 0.5) / 2 + 1) / 3)
    assert table.iou[1].mean == pytest.approx((1 + 1 / 3) / 2)


def test_the_worst_case_is_first_and_what_cannot_be_scored_last():
    cases = [("a", 1, overlap([1, 0], [0, 1])), ("b", 2, overlap([0, 1], [1, 0])), ("none", 1, overlap([0, 0], [0, 0]))]
    assert [(case.name, case.fold) for case in ScoreTable(cases, SCHEME).cases] == [("b", 2), ("a", 1), ("none", 1)]


def test_all_voxels_together_are_scored_as_one(table):
    """Of the cell: 3 true ones found, one missed, one invented."""
    assert table.pooled.classes[1].dice == pytest.approx(6 / 8)
    assert table.pooled.voxels == 8 + 2 + 11 + 3


def test_as_text_for_other_programs(table):
    plain = json.loads(json.dumps(table.as_json(), allow_nan=False))
    assert [case["case"] for case in plain["cases"]] == ["bad", "empty", "good"]
    assert plain["cases"][1]["classes"][1]["dice"] is None
    assert plain["classes"][1]["dice"] == {"mean": 0.75, "standard_deviation": pytest.approx(0.125**0.5), "cases": 2}
    header, first, second, _ = table.as_csv().splitlines()
    assert header == (
        'case,fold,labelled voxels,background IoU,background Dice,"cell, red IoU","cell, red Dice",mean IoU,mean Dice'
    )
    assert first == "bad,2,11,0.800000,0.888889,0.333333,0.500000,0.566667,0.694444"
    assert second == "empty,2,3,1.000000,1.000000,,,1.000000,1.000000"
