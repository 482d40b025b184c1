"""Tables beside the paper's."""

import math

import numpy as np
import pytest

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.evaluation.experiments import ExperimentScores, TrialScore
from keras_unet3d.metrics import Overlap

SCHEME = LabelScheme.from_values({0, 1}, {}, None)


def score(part, network, right, wrong, case="a"):
    """IoU of both classes right / (right + 2 wrong)."""
    return TrialScore(part, network, {case: Overlap(np.array([[right, wrong], [wrong, right]]))}, 0.03, 10, 1.0)


def test_networks_stand_beside_the_papers_averages():
    trials = [
        score("subset 1", "3D with BN", 8, 1),
        score("subset 1", "2D with BN", 6, 2),
        score("subset 2", "3D with BN", 6, 2),
    ]
    found = ExperimentScores("semi", SCHEME, tuple(trials))
    assert found.table() == [
        ["mean IoU", "3D with BN", "2D with BN"],
        ["subset 1", "0.800", "0.600"],
        ["subset 2", "0.600", "–"],
        ["average", "0.700", "0.600"],
        ["the paper's average", "0.863", "0.796"],
        ["the paper's three", "0.855, 0.871, 0.863", "0.785, 0.820, 0.782"],
    ]
    assert [trial["mean_iou"] for trial in found.as_json()["trials"]] == pytest.approx([0.8, 0.6, 0.6])
    assert found.as_markdown().splitlines()[:3] == [
        "| mean IoU | 3D with BN | 2D with BN |",
        "| --- | --- | --- |",
        "| subset 1 | 0.800 | 0.600 |",
    ]


def test_a_mean_is_that_of_the_cases_however_large_they_are():
    overlaps = {"large": Overlap(np.array([[800, 100], [100, 800]])), "small": Overlap(np.array([[6, 2], [2, 6]]))}
    trial = TrialScore("without c", "3D with BN", overlaps, 0.5, 10, 1.0)
    assert trial.mean_iou == pytest.approx(0.7)
    assert trial.iou(1) == pytest.approx(0.7)
    assert ExperimentScores("full", SCHEME, (trial,)).table()[1] == ["without c", "0.700"]


def test_growing_slices_have_a_column_for_each_case_that_is_learned_from_alone():
    trials = (
        score("x=1 y=1 z=1", "3D with BN", 8, 1, "a"),
        score("x=1 y=1 z=1", "3D with BN", 6, 2, "b"),
        score("x=9 y=9 z=9", "2D with BN", 1, 0, "a"),
    )
    header, first, _, _, second = ExperimentScores("sparsity", SCHEME, trials).table()
    assert header == ["slices", "labelled", "network", "a", "b", "mean", "the paper's, samples 1, 2, 3"]
    assert first == ["x=1 y=1 z=1", "3.0%", "3D with BN", "0.800", "0.600", "0.700", "0.331, 0.483, 0.475"]
    assert second == ["x=9 y=9 z=9", "3.0%", "2D with BN", "1.000", "–", "1.000", "–"]


def test_a_score_that_is_no_number_is_null():
    empty = TrialScore("subset 1", "3D with BN", {"a": Overlap.none(2)}, 0.0, 1, 0.1)
    found = ExperimentScores("semi", SCHEME, (empty,))
    assert math.isnan(found.mean_iou("subset 1", "3D with BN"))
    assert found.as_json()["trials"][0]["mean_iou"] is None
    assert found.table()[1] == ["subset 1", "–"]
