"""The page of a model says what its description says."""

import json

import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.model_page import model_page
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes
from keras_unet3d.training.curves import Curves, Learned, Validated

ROW = {
    "name": "<first>",
    "shape": {"z": 16, "y": 20, "x": 24},
    "spacing": {"z": 2.0, "y": 1.0, "x": 1.0},
    "unit": "µm",
    "slices": {"z": 3, "y": 0, "x": 1},
    "dense": False,
    "labelled": 1500,
    "share": 0.195,
}


@pytest.fixture
def describe():
    def build(**training):
        return ModelDescription(
            classes=describe_classes(LabelScheme((0, 1), ("background", "cell"))),
            channels=("nuclei",),
            normalization="batch",
            filters=8,
            geometry=TileGeometry(padding="same", depth=3),
            parameters=1_195_171,
            settings={"steps": 7},
            training=json.loads(json.dumps(training)),
        )

    return build


def test_a_model_that_says_little_has_a_page(describe):
    page = model_page("cells, version 1", describe()).html
    assert "1.2 M" in page
    assert "1,195,171 parameters" in page
    assert "How it learned" not in page
    assert "niivue" not in page


def test_what_it_was_trained_on_and_what_was_decided(describe):
    training = {
        "cases": 60,
        "labelled_voxels": {"background": 900, "cell": 100},
        "held_out": "Held out for validation: 6 of 60 cases.",
        "data": {"rows": [ROW]},
        "decisions": [{"setting": "batch_size", "value": "2", "reason": "as <always>"}],
    }
    page = model_page("cells", describe(**training)).html
    assert "1,000 labelled voxels of 60 cases" in page
    assert "<td>90.0%</td>" in page
    assert "&lt;first&gt;</th><td>x=24 y=20 z=16</td><td>x=1 y=1 z=2 µm</td><td>slices: x=1 y=0 z=3</td>" in page
    assert "… and 59 cases more." in page
    assert "<dt>batch_size</dt><dd>2: as &lt;always&gt;</dd>" in page


def test_curves_are_drawn_with_what_was_held_out(describe):
    learned = tuple(Learned(step, 1 / step, 0.5) for step in (10, 20, 30))
    curves = Curves(learned, (Validated(30, 0.75, {"background": 0.9, "cell": 0.6}),))
    page = model_page("cells", describe(curves=curves.as_json(), steps=30, minutes=0.5, kept_step=30)).html
    assert page.count("<polyline") == 2  # the loss, and the IoU of training; validations are dots where there is one
    for name in ("held out, mean", "held out, cell"):
        assert f"</i>{name}</span>" in page
    assert "30 steps in 0.5 minutes. The weights of step 30 were kept" in page


def test_each_fold_has_a_curve_of_its_own(describe):
    folds = [Curves(tuple(Learned(step, loss, 0.5) for step in (10, 20, 30))).as_json() for loss in (0.8, 0.9)]
    page = model_page("cells", describe(curves_of_folds=[*folds, Curves().as_json()], steps=60, minutes=0.5)).html
    assert page.count("<polyline") == 4
    assert page.count("</i>fold 2</span>") == 2
    assert "60 steps of 3 networks in 0.5 minutes." in page


@pytest.mark.parametrize("damaged", ["curves", {"learned": 1}, [None, 3], [{"learned": {}}]])
def test_damaged_curves_of_folds_are_left_out(describe, damaged):
    assert "<polyline" not in model_page("cells", describe(curves_of_folds=damaged)).html
