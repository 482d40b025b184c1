"""The curves of a run are lines in a file that a killed run leaves whole and a continued one goes on with."""

import json
import math

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.metrics import Overlap
from keras_unet3d.training.curves import CURVES_FILE, Curves, CurvesFile, Learned, Validated, read_curves

OVERLAP = Overlap(np.array([[6, 2, 0], [0, 2, 0], [0, 0, 0]]))
"""IoU: 6 of 8; 2 of 4; the third class does not occur."""


@pytest.fixture
def file(tmp_path):
    curves = CurvesFile(tmp_path, ("background", "cell", "rare"))
    curves.continue_at(0)
    return curves


def test_what_is_written_is_read(tmp_path, file):
    file.learned(10, 0.5, math.nan)
    file.validated(10, OVERLAP)
    file.learned(20, 0.25, 0.75)
    curves = read_curves(tmp_path)
    assert [(point.step, point.loss) for point in curves.learned] == [(10, 0.5), (20, 0.25)]
    assert math.isnan(curves.learned[0].mean_iou)
    (validation,) = curves.validated
    assert validation.mean_iou == 0.625
    assert (validation.iou["background"], validation.iou["cell"]) == (0.75, 0.5)
    assert math.isnan(validation.iou["rare"])


def test_a_continued_run_forgets_the_steps_that_it_takes_again(tmp_path, file):
    for step in (10, 20, 30):
        file.learned(step, 1 / step, 0.5)
    with (tmp_path / CURVES_FILE).open("a", encoding="utf-8") as cut:
        cut.write('{"step": 40, "lo')  # the kill
    again = CurvesFile(tmp_path, ("background", "cell", "rare"))
    again.continue_at(20)
    again.learned(20, 9.0, 0.9)  # there already
    again.learned(30, 0.5, 0.5)
    assert [(point.step, point.loss) for point in read_curves(tmp_path).learned] == [(10, 0.1), (20, 0.05), (30, 0.5)]


def test_a_run_without_curves_has_none_and_a_damaged_file_is_said(tmp_path):
    assert read_curves(tmp_path) == Curves()
    (tmp_path / CURVES_FILE).write_text('{"step": 1, "validation": 3}\n', encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        read_curves(tmp_path)


def test_a_thinned_curve_is_made_of_means_and_ends_where_the_curve_does():
    curves = Curves(tuple(Learned(step, step, math.nan) for step in range(1, 7)), (Validated(6, 0.5, {}),))
    thin = curves.thinned(3)
    assert [(point.step, point.loss) for point in thin.learned] == [(2, 1.5), (4, 3.5), (6, 5.5)]
    assert thin.validated == curves.validated
    assert curves.thinned(6) == curves


def test_validations_are_chosen_not_averaged():
    curves = Curves(validated=tuple(Validated(step, step / 10, {}) for step in range(1, 6)))
    assert [point.step for point in curves.thinned(2).validated] == [2, 5]


def test_curves_travel_in_a_description():
    curves = Curves((Learned(1, 2.0, 0.5),), (Validated(1, 0.25, {"cell": 0.125}),))
    assert Curves.from_json(json.loads(json.dumps(curves.as_json()))) == curves
    for other in (None, {}, {"learned": 3}, {"learned": {"step": [1]}, "validated": {}}):
        assert Curves.from_json(other) == Curves()
