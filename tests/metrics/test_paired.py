import json
import math

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import CaseScores, Overlap, PairedDifference, PairedTable, Scores, ScoreTable
from keras_unet3d.metrics.measures import DICE, IOU

SCHEME = LabelScheme((0, 5), ("background", "cell"))


def scored(found_by_case, scheme=SCHEME):
    """Cases with 10 cells, of which so many were found."""
    cases = []
    for name, found in found_by_case.items():
        overlap = Overlap(np.array([[90, 0], [10 - found, found]]))
        cases.append(CaseScores(name, overlap, Scores.of(overlap, scheme)))
    return ScoreTable(cases, scheme)


def test_six_cases_that_all_gain_have_p_of_two_in_64():
    """Each of the 2⁶ sides is as likely by chance, and two of them are all on one: p = 2 / 64."""
    second = {name: number / 10 for number, name in enumerate("abcdef")}
    first = {name: score + 0.01 * (1 + number) for number, (name, score) in enumerate(second.items())}
    found = PairedDifference.of(first, second)
    assert found.p == pytest.approx(2 / 64)
    assert found.difference.mean == pytest.approx(0.035)
    assert found.first - found.second == pytest.approx(0.035)
    assert found.difference.low > 0
    assert PairedDifference.of(second, first).p == found.p


def test_a_prediction_against_itself_differs_in_nothing():
    same = {"a": 0.5, "b": 0.75}
    found = PairedDifference.of(same, same)
    assert (found.p, found.difference.mean, found.difference.low, found.difference.high) == (1, 0, 0, 0)


def test_cases_without_a_finite_score_in_both_are_left_out():
    found = PairedDifference.of(
        {"a": 1.0, "b": math.inf, "c": math.nan, "d": 4.0}, {"a": 3.0, "b": 1.0, "c": 1.0, "e": 1.0}
    )
    assert (found.difference.cases, found.first, found.second, found.difference.mean) == (1, 1, 3, -2)
    nothing = PairedDifference.of({"a": 1.0}, {"b": 1.0})
    assert math.isnan(nothing.p)
    assert nothing.as_json()["first"] is None


def test_rounding_makes_no_difference_of_equal_ones():
    """0.3 − 0.2 and 0.2 − 0.1 differ in their last bits; as differences they are tied, and one is to each side."""
    found = PairedDifference.of({"a": 0.3, "b": 0.1}, {"a": 0.2, "b": 0.2})
    assert found.p == 1
    assert found.difference.mean == pytest.approx(0)


def test_tables_are_paired_by_name():
    paired = PairedTable(scored({"a": 10, "b": 5, "c": 0}), scored({"b": 10, "a": 10, "d": 1}))
    assert paired.cases == ("b", "a")  # the worst of the first at first
    assert paired.unpaired == ("c", "d")
    assert paired.smallest_p == 0.5
    of_cell = paired.difference(DICE, 5)
    assert (of_cell.first, of_cell.second) == (pytest.approx((1 + 2 / 3) / 2), 1)
    assert paired.difference(IOU, 5).difference.mean == pytest.approx(-0.25)
    plain = json.loads(json.dumps(paired.as_json(), allow_nan=False))
    assert plain["classes"][1]["dice"]["difference"]["cases"] == 2
    assert (
        plain["mean"]["iou"]["p"] == 1
    )  # of the two, one differs: half of the sides are as extreme, in both directions


def test_classes_are_paired_by_value():
    """The second prediction invented a class: the others are compared."""
    other = LabelScheme((0, 3, 5), ("background", "label 3", "cell"))
    overlap = Overlap(np.array([[88, 2, 0], [0, 0, 0], [0, 0, 10]]))
    second = ScoreTable([CaseScores("a", overlap, Scores.of(overlap, other))], other)
    paired = PairedTable(scored({"a": 5}), second)
    assert paired.values == (0, 5)
    assert paired.difference(IOU, 5).difference.mean == pytest.approx(-0.5)
