import math

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.measures import MEASURES, around_text, interval, spread_text
from keras_unet3d.metrics import Overlap, ScoreTable, Spread

SCHEME = LabelScheme((0, 1), ("background", "cell"))
HALF = Overlap(np.array([[6, 1], [1, 2]]))  # cell: Dice 4/6, IoU 2/4
NONE = Overlap(np.array([[10, 0], [0, 0]]))  # no cell


@pytest.fixture
def table():
    return ScoreTable([("half", 1, HALF), ("none", 1, NONE)], SCHEME)


def test_every_measure_is_found_in_scores_and_in_their_json(table):
    scores = table.cases[0].scores
    plain = scores.as_json()
    for measure in MEASURES:
        for number, of_class in enumerate(plain["classes"]):
            assert measure.of_case(scores, number) == measure.of_json(of_class)
        assert measure.of_case(scores, None) == measure.of_json(plain["mean"])
    assert [measure.of_case(scores, 1) for measure in MEASURES] == pytest.approx([2 / 3, 1 / 2])


def test_what_a_case_does_not_have_does_not_count(table):
    spread = MEASURES[0].over_cases(table, 1)
    assert (spread.mean, spread.cases) == (pytest.approx(2 / 3), 1)
    assert math.isnan(MEASURES[0].of_json({"dice": None}))


def test_a_spread_is_said_without_a_break():
    spread = Spread(0.5, 0.125, 3)
    assert spread_text(spread).split() == ["0.500", "±", "0.125"]
    assert " " not in spread_text(spread)
    assert around_text(spread) == "± 0.125 "
    assert around_text(Spread(0.5, math.nan, 1)) == ""
    assert interval(spread) == (0.375, 0.625)
