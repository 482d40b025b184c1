import json

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import Overlap, Ruler, Scores, Surfaces
from keras_unet3d.metrics.measures import ASSD, SURFACE_DICE
from keras_unet3d.volumes import Grid
from keras_unet3d.volumes.length import Length

SCHEME = LabelScheme((0, 5, 9), ("background", "cell", "wall"))


def test_scores_carry_the_names_and_values_of_their_classes():
    scores = Scores.of(Overlap.of(np.array([0, 0, 1]), np.array([0, 1, 1]), 3), SCHEME)
    assert [(one.name, one.value, one.voxels) for one in scores.classes] == [
        ("background", 0, 2),
        ("cell", 5, 1),
        ("wall", 9, 0),
    ]
    assert [one.iou for one in scores.classes[:2]] == pytest.approx([1 / 2, 1 / 2])
    assert scores.mean_iou == pytest.approx(1 / 2)


def test_json_has_null_where_nothing_was_to_score():
    scores = Scores.of(Overlap.of(np.array([0, 0, 1]), np.array([0, 1, 1]), 3), SCHEME)
    plain = json.loads(json.dumps(scores.as_json(), allow_nan=False))
    shares = dict.fromkeys(["iou", "dice", "precision", "recall", "volume_difference"])
    assert plain["classes"][2] == {"name": "wall", "value": 9, "voxels": 0, "predicted_voxels": 0, **shares}
    assert plain["mean"]["dice"] == pytest.approx(2 / 3)


@pytest.fixture
def surfaces():
    """A cell of one voxel, found 2 mm beside, and an invented wall."""
    grid = Grid((3, 3, 3), (1, 1, 2), unit="mm")
    truth, prediction = np.zeros((2, *grid.shape), np.int16)
    truth[1, 1, 1] = prediction[1, 1, 2] = 1
    prediction[0, 0, 0] = 2
    found = Surfaces.of(truth, prediction, 3, Ruler.of([grid], Length(1)), SCHEME.background)
    return Scores.of(Overlap.of(truth, prediction, 3), SCHEME, found)


def test_distances_are_of_every_class_but_the_background(surfaces):
    background, cell, wall = surfaces.classes
    assert (cell.hausdorff, cell.hausdorff_95, cell.assd, cell.surface_dice) == (2, 2, 2, 0)
    assert np.isnan(background.assd)
    assert (wall.hausdorff, wall.surface_dice, wall.one_sided) == (np.inf, 0, True)
    assert not cell.one_sided
    assert surfaces.mean(ASSD) == np.inf  # one class was invented
    assert surfaces.mean(SURFACE_DICE) == 0
    plain = json.loads(json.dumps(surfaces.as_json(), allow_nan=False))
    assert plain["classes"][1]["hausdorff_95"] == 2
    assert plain["mean"]["assd"] is None
    assert plain["surfaces"] == {"unit": "mm", "tolerance": 1, "not_measured": None}


def test_where_distances_were_asked_for_in_vain_it_says_why():
    scores = Scores.of(Overlap.of(np.array([0, 1]), np.array([0, 1]), 3), SCHEME, not_measured="Because.")
    plain = scores.as_json()
    assert plain["surfaces"] == {"unit": None, "tolerance": None, "not_measured": "Because."}
    assert plain["classes"][1]["assd"] is None
