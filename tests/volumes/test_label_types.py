from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Box, slabs
from keras_unet3d.volumes.label_types import label_type, narrowed
from keras_unet3d.volumes.scratch import ScratchVoxels

FILE = Path("a.nii")


def volume(values, kind):
    """Along x."""
    return np.array([[values]], kind)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.int32])
def test_usual_types_stay(kind):
    assert narrowed(FILE, volume([0, 3], kind)).dtype == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 255], np.uint8), ([0, 256], np.uint16), ([-1, 5], np.int16), ([0, 70000], np.int32), ([-40000, 0], np.int32)],
)
@pytest.mark.parametrize("given", [np.int64, np.float32, np.float64])
def test_large_types_become_the_smallest_that_holds_them(values, kind, given):
    labels = narrowed(FILE, volume(values, given))
    assert labels.dtype == kind
    assert labels.ravel().tolist() == values


def test_big_endian_and_truth_values():
    assert narrowed(FILE, volume([1, 2], ">i2")).dtype == np.dtype("=i2")
    assert narrowed(FILE, volume([True, False], bool)).ravel().tolist() == [1, 0]


def test_beyond_int32_is_refused():
    with pytest.raises(InputError, match="at most 2147483647"):
        narrowed(FILE, volume([2**31], np.uint32))


def test_usual_types_are_not_read_for_it(tmp_path):
    with ScratchVoxels(tmp_path / "a.raw", (2, 3, 4), np.uint16) as voxels:
        voxels.close()
        assert label_type(FILE, voxels) == np.uint16


def test_every_part_of_a_volume_on_disk_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_BYTES", 8)
    with ScratchVoxels(tmp_path / "a.raw", (2, 3, 4), np.int64) as voxels:
        voxels.write(Box.at((1, 2, 3), (1, 1, 1)), np.array([[[300]]]))
        assert label_type(FILE, voxels) == np.uint16
        voxels.write(Box.at((0, 0, 0), (1, 1, 1)), np.array([[[-1]]]))
        assert label_type(FILE, voxels) == np.int16
