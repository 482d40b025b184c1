import re

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.score_sections import case_section, held_out_section, score_section, seen_before
from keras_unet3d.metrics import Overlap, Scores, ScoreTable

SCHEME = LabelScheme((0, 1), ("background", "<cell>"))


def overlap(found):
    """Ten voxels of cell, of which so many are found, and ninety of background."""
    return Overlap(np.array([[90, 0], [10 - found, found]]))


@pytest.fixture
def table():
    return ScoreTable([("good", 1, overlap(10)), ("bad", 1, overlap(2)), ("<fair>", 1, overlap(6))], SCHEME)


def text(section):
    return "".join(section.parts)


def test_scores_have_a_row_for_each_class_a_mean_and_a_dot_for_each_case(table):
    shown = text(score_section(table))
    rows = re.findall(r'<th scope="row">(.*?)</th>', shown)
    assert rows == ["background", "&lt;cell&gt;", "mean"]
    assert shown.count('class="dot"') == 9
    assert "<title>&lt;fair&gt;: 0.750</title>" in shown  # 12 / 16
    assert "<span>0.750</span>" in shown  # of all voxels, 2 × 18 / (18 + 30)
    assert ">300<" in shown


def test_one_case_has_no_spread_and_no_chart():
    shown = text(score_section(ScoreTable([("only", 1, overlap(6))], SCHEME)))
    assert "±" not in shown
    assert "<svg" not in shown
    assert "Of one case." in shown


def test_the_worst_case_is_on_top(table):
    shown = text(case_section(table, (), ["bad", "<fair>"]))
    assert re.findall(r'<th scope="row">(.*?)</th>', shown) == ["bad", "&lt;fair&gt;", "good"]
    assert "learned from" not in shown
    assert "Pictures of bad, <fair> are below." in shown  # text, which the page escapes
    known = text(case_section(table, ["good"], []))
    assert re.findall(r"<td>(yes|no)</td>", known) == ["no", "no", "yes"]


def test_scores_of_what_was_learned_from_come_with_a_warning():
    assert seen_before(["a"], {}) is None
    assert seen_before(["a"], {"learned_from": ["b"]}) is None
    assert "1 of these 2 cases, going" in seen_before(["a", "b"], {"learned_from": ["b"]})
    rows = [{"name": "b", "shape": {"z": 2, "y": 5, "x": 10}, "labelled": 25}]
    warning = seen_before(["b"], {"learned_from": ["b"], "data": {"rows": rows}})
    assert "all of these cases (25% of their voxels were annotated)" in warning


def test_what_was_held_out_is_shown_as_the_model_says_it():
    assert held_out_section({"validation": None}) is None
    validation = Scores.of(overlap(6), SCHEME).as_json()
    shown = text(held_out_section({"validation": validation, "held_out": "Held out: 1 of 5 cases."}))
    assert shown.startswith("Held out: 1 of 5 cases.")
    assert "<span>0.750</span>" in shown
    assert '<td class="number">100</td>' in shown
