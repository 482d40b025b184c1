import json

import numpy as np
import pytest

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.metrics import Overlap, Scores

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
    assert plain["classes"][2] == {"name": "wall", "value": 9, "voxels": 0, "iou": None, "dice": None}
    assert plain["mean"]["dice"] == pytest.approx(2 / 3)
