"""An experiment as a page."""

import numpy as np

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.evaluation.experiment_page import experiment_page
from keras_unet3d.evaluation.experiments import ExperimentScores, TrialScore
from keras_unet3d.metrics import Overlap

SCHEME = LabelScheme((0, 1), ("outside", "<b>tubule</b>"))


def trial(part, network="3D with BN", labelled=0.03):
    return TrialScore(part, network, {"a": Overlap(np.array([[8, 1], [1, 8]]))}, labelled, 1234, 2.0)


def test_the_table_stands_beside_the_papers_and_names_are_no_html():
    page = experiment_page(ExperimentScores("semi", SCHEME, (trial("subset 1"), trial("subset 1", "2D with BN"))))
    text = page.html
    assert "0.863" in text
    assert "1,234" in text
    assert "&lt;b&gt;tubule" in text
    assert "<b>tubule" not in text
    assert "<svg" not in text


def test_growing_slices_are_a_curve_beside_the_papers():
    trials = (trial("x=1 y=1 z=1", labelled=0.025), trial("x=2 y=2 z=1", labelled=0.033))
    text = experiment_page(ExperimentScores("sparsity", SCHEME, trials)).html
    assert "<svg" in text
    assert "the paper&#x27;s, with the same slices" in text
