"""An experiment as a page."""

import numpy as np

from keras_unet3d import Grid
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.evaluation.case_view import CaseView
from keras_unet3d.evaluation.experiment_page import Shown, experiment_page
from keras_unet3d.evaluation.experiments import ExperimentScores, TrialScore
from keras_unet3d.metrics import Overlap
from keras_unet3d.training.curves import Curves, Learned

SCHEME = LabelScheme((0, 1), ("outside", "<b>tubule</b>"))


def trial(part, network="3D with BN", labelled=0.03):
    return TrialScore(part, network, {"a": Overlap(np.array([[8, 1], [1, 8]]))}, labelled, 1234, 2.0)


LEARNED = (["a", "b"], "steps = 7\n")
"""Volumes and settings."""


def shown(network="3D with BN", view=None):
    return Shown(network, Curves((Learned(1, 1.5, 0.2), Learned(9, 0.75, 0.4))), view)


def test_the_table_stands_beside_the_papers_and_names_are_no_html():
    trials = (trial("subset 1"), trial("subset 1", "2D with BN"))
    text = experiment_page(ExperimentScores("semi", SCHEME, trials), "subset 1", [], *LEARNED).html
    assert "0.863" in text
    assert "1,234" in text
    assert "&lt;b&gt;tubule" in text
    assert "<b>tubule" not in text
    assert "<svg" not in text
    for network in ("3D with BN", "2D with BN"):
        assert f"Volumes, {network}" in text


def test_growing_slices_are_a_curve_beside_the_papers():
    trials = (trial("x=1 y=1 z=1", labelled=0.025), trial("x=2 y=2 z=1", labelled=0.033))
    text = experiment_page(
        ExperimentScores("sparsity", SCHEME, trials, ("a has few.",)), "a x=1 y=1 z=1", [], *LEARNED
    ).html
    assert "<svg" in text
    assert "the paper&#x27;s, with the same slices" in text
    assert "a has few." in text


def test_a_row_is_shown_as_each_network_learned_and_sees_it():
    labels = np.zeros((4, 6, 8), np.int16)
    labels[1:3, 2:4, 2:6] = 1
    image = labels[..., None].astype(np.float32)
    view = CaseView("a", image, Grid(labels.shape), ["grey"], SCHEME, labels, np.where(labels, -1, 0), "Scored")
    trials = (trial("without a"), trial("without a", "2D with BN"))
    scores = ExperimentScores("full", SCHEME, trials)
    page = experiment_page(scores, "without a", [shown(view=view), shown("2D with BN", view)], *LEARNED)
    assert page.volume_view
    for words in (
        "Loss of the training tiles, without a",
        "without a, which was done worst",
        "2 volumes: a, b.",
        "steps = 7",
        "a, 3D with BN",
        "a, 2D with BN",
        'class="view"',
    ):
        assert words in page.html
