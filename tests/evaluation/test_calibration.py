import math

import numpy as np
import pytest

from keras_unet3d.evaluation.calibration import Calibration
from keras_unet3d.evaluation.case_view import steps_of_uncertainty

TRUTH = np.array([[[0, 0, 1, 1, -1]]])
FOUND = np.array([[[0, 1, 1, 0, 0]]])
UNSURE = steps_of_uncertainty(np.array([[[0.0, 0.95, 0.05, 1.0, 1.0]]]))


def test_voxels_are_counted_by_their_uncertainty_where_they_are_labelled():
    found = Calibration.of(TRUTH, FOUND, UNSURE)
    assert found.voxels.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.wrong.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    shares = found.wrong_shares
    assert (shares[0], shares[9]) == (0, 1)
    assert all(map(math.isnan, shares[1:9]))


def test_cases_add_up_and_are_said_in_a_sentence():
    found = Calibration.none() + Calibration.of(TRUTH, FOUND, UNSURE) + Calibration.of(TRUTH, TRUTH, UNSURE)
    assert found.voxels.sum() == 8
    assert found.sentence == (
        "25.0% of the 8 labelled voxels are wrong. The 50.0% that are least certain (uncertainty above 0.5) hold 100% "
        "of what is wrong."
    )
    assert Calibration.of(TRUTH, TRUTH, UNSURE).sentence == "None of the 4 labelled voxels is wrong."


def test_maps_of_different_volumes_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        Calibration.of(TRUTH, np.zeros((0, 1, 5)), UNSURE)
