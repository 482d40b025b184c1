from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.label_types import narrowed

FILE = Path("a.nii")


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.int32])
def test_usual_types_stay(kind):
    assert narrowed(FILE, np.array([0, 3], kind)).dtype == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 255], np.uint8), ([0, 256], np.uint16), ([-1, 5], np.int16), ([0, 70000], np.int32), ([-40000, 0], np.int32)],
)
@pytest.mark.parametrize("given", [np.int64, np.float32, np.float64])
def test_large_types_become_the_smallest_that_holds_them(values, kind, given):
    labels = narrowed(FILE, np.array(values, given))
    assert labels.dtype == kind
    assert labels.tolist() == values


def test_big_endian_and_truth_values():
    assert narrowed(FILE, np.array([1, 2], ">i2")).dtype == np.dtype("=i2")
    assert narrowed(FILE, np.array([True, False])).tolist() == [1, 0]


def test_beyond_int32_is_refused():
    with pytest.raises(InputError, match="at most 2147483647"):
        narrowed(FILE, np.array([2**31], np.uint32))
