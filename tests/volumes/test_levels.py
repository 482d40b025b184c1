"""A level by its number is the level by its path."""

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, read_image, write_image
from keras_unet3d.volumes.levels import at_level

pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")

TURNED = ((0.6, -0.8, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, -1.0))


@pytest.fixture
def brain(tmp_path):
    """Three levels: 600, 300 and 150 voxels along x, which are finer than those along y and z."""
    grid = Grid((3, 4, 600), (8.0, 8.0, 1.0), (10.0, 20.0, 30.0), TURNED, "µm")
    voxels = np.random.default_rng(0).integers(0, 99, (*grid.shape, 1)).astype(np.float32)
    write_image(tmp_path / "brain.ome.zarr", Volume(voxels, grid))
    return tmp_path / "brain.ome.zarr"


def test_levels_are_counted_from_the_finest(brain):
    assert [at_level(brain, number) for number in range(3)] == [brain / "0", brain / "1", brain / "2"]
    assert read_image(at_level(brain, 2)).grid.shape == (3, 4, 150)


def test_a_turned_image_is_turned_at_every_level(brain):
    """Voxel 0 of level 2 is made of voxels 0 to 3: its centre lies 1.5 voxels further along x."""
    finest, coarse = (read_image(at_level(brain, level)).grid for level in (0, 2))
    np.testing.assert_allclose(coarse.affine @ [0, 0, 0, 1], finest.affine @ [1.5, 0, 0, 1])
    np.testing.assert_allclose(coarse.affine @ [100, 3, 2, 1], finest.affine @ [401.5, 3, 2, 1])


def test_what_has_no_such_level_is_refused(brain, tmp_path):
    with pytest.raises(InputError, match="has 3 levels, counted from 0, the finest"):
        at_level(brain, 3)
    with pytest.raises(InputError, match="1: names a level already"):
        at_level(brain / "1", 1)
    with pytest.raises(InputError, match=r"a\.nii: has one resolution"):
        at_level(tmp_path / "a.nii", 0)
    with pytest.raises(InputError, match="does not exist"):
        at_level(tmp_path / "b.ome.zarr", 0)
