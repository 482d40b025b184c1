import re

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.score_sections import case_section, held_out_section, score_section, seen_before
from keras_unet3d.metrics import CaseScores, Overlap, Ruler, Scores, ScoreTable, Surfaces
from keras_unet3d.volumes import Grid

SCHEME = LabelScheme((0, 1), ("background", "<cell>"))


def overlap(found):
    """Ten voxels of cell, of which so many are found, and ninety of background."""
    return Overlap(np.array([[90, 0], [10 - found, found]]))


def scored(name, found, ruler=None):
    """With surfaces where there is a ruler: the cells are planes of a block of ten."""
    surfaces, reason = None, "" if ruler else "The truth is sparse."
    if ruler:
        truth, prediction = (np.repeat(np.arange(100) < count, 1).reshape(100, 1, 1) * 1 for count in (10, found))
        surfaces = Surfaces.of(truth, prediction, 2, ruler, 0)
    return CaseScores(name, overlap(found), Scores.of(overlap(found), SCHEME, surfaces, reason))


@pytest.fixture
def table():
    return ScoreTable([scored("good", 10), scored("bad", 2), scored("<fair>", 6)], SCHEME)


def text(section):
    return "".join(section.parts)


def test_scores_have_a_row_for_each_class_a_mean_and_a_dot_for_each_case(table):
    shown = text(score_section(table))
    rows = re.findall(r'<th scope="row">(.*?)</th>', shown)
    assert rows == ["background", "&lt;cell&gt;", "mean"]
    assert shown.count('class="dot"') == 9
    assert "<title>&lt;fair&gt;: 0.750</title>" in shown  # 12 / 16
    assert "of the 3 cases together: Dice 0.86" in shown  # of cells 2 × 18 / (18 + 30), of background 540 / 552
    assert re.search(r">0\.694 ± 0\.337<small>0\.333 to 1\.000</small>", shown)  # of cells, 1, 12 / 16 and 4 / 12
    assert "3 cases says little" in shown
    assert "The truth is sparse." in shown
    assert "HD95" not in shown


def test_distances_are_in_a_table_of_their_own_with_how_they_were_measured():
    ruler = Ruler.of([Grid((100, 1, 1), (2.0, 1.0, 1.0), unit="µm")])
    shown = text(
        score_section(ScoreTable([scored("near", 9, ruler), scored("far", 5, ruler), scored("none", 0, ruler)], SCHEME))
    )
    assert ">HD95 (µm)</th>" in shown
    assert "6 ± 5.66<small>2 to 10, ∞ in 1 of 3</small>" in shown  # one plane of 2 µm, and five
    assert "share within 2 µm" in shown
    assert "The borders of background are those of the other classes" in shown


def test_one_case_has_no_spread_and_no_chart():
    shown = text(score_section(ScoreTable([scored("only", 6)], SCHEME)))
    assert "±" not in shown
    assert "<svg" not in shown
    assert "<span>0.750</span>" in shown
    assert "-40.0%" in shown  # of the volume


def test_the_worst_case_is_on_top(table):
    shown = text(case_section(table, (), ["bad", "<fair>"]))
    assert re.findall(r'<th scope="row">(.*?)</th>', shown) == ["bad", "&lt;fair&gt;", "good"]
    assert "learned from" not in shown
    assert "HD95" not in shown  # nothing is dense
    assert "Pictures of bad, <fair> are below." in shown  # text, which the page escapes
    known = text(case_section(table, ["good"], []))
    assert re.findall(r"<td>(yes|no)</td>", known) == ["no", "no", "yes"]


def test_scores_of_what_was_learned_from_come_with_a_warning():
    assert seen_before([scored("a", 1)], {}) is None
    assert seen_before([scored("a", 1)], {"learned_from": ["b"]}) is None
    assert "1 of these 2 cases, going" in seen_before([scored("a", 1), scored("b", 1)], {"learned_from": ["b"]})
    rows = [{"name": "b", "shape": {"z": 2, "y": 5, "x": 10}, "labelled": 25}]
    warning = seen_before([scored("b", 1)], {"learned_from": ["b"], "data": {"rows": rows}})
    assert "all of these cases (25% of their voxels were annotated)" in warning


def test_what_was_held_out_is_shown_as_the_model_says_it():
    assert held_out_section({"validation": None}) is None
    validation = Scores.of(overlap(6), SCHEME).as_json()
    shown = text(held_out_section({"validation": validation, "held_out": "Held out: 1 of 5 cases."}))
    assert shown.startswith("Held out: 1 of 5 cases.")
    assert "<span>0.750</span>" in shown
    assert '<td class="number">100</td>' in shown
