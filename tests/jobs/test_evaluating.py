"""`evaluate`, where its rooms meet."""

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.annotation import LabelScheme

SCHEME = LabelScheme((0, 1, 2), ("background", "a", "b"))


def test_a_score_names_the_file_whose_values_are_unknown(tmp_path):
    grid = unet3d.Grid((2, 3, 4))
    for name, value in (("prediction", 7), ("truth", 1)):
        unet3d.write_labels(tmp_path / f"{name}.nii.gz", unet3d.Volume(np.full(grid.shape, value, np.uint8), grid))
    with pytest.raises(unet3d.InputError, match=r"prediction\.nii\.gz: The label values 7 are no class; expected 0"):
        unet3d.evaluate(tmp_path / "prediction.nii.gz", tmp_path / "truth.nii.gz", scheme=SCHEME)
