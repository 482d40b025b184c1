from dataclasses import replace

import numpy as np
import pytest

from keras_unet3d.volumes import Grid, Volume
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.part import PartVoxels, PlacedVoxels, part_of

VOXELS = np.arange(5 * 6 * 7).reshape(5, 6, 7)
BOX = Box((1, 2, 0), (4, 6, 5))


def test_a_part_of_a_part_is_read_from_the_whole():
    part = PartVoxels(VOXELS, BOX)
    assert part.shape == (3, 4, 5)
    np.testing.assert_array_equal(part[1:, :, 2:3], VOXELS[2:4, 2:6, 2:3])
    with pytest.raises(ValueError, match="Expected a box inside"):
        PartVoxels(VOXELS, Box((0, 0, 0), (6, 1, 1)))


def test_what_is_placed_is_there_and_nothing_else():
    placed = PlacedVoxels(VOXELS[BOX.slices], BOX.start, VOXELS.shape)
    assert placed.shape == VOXELS.shape
    np.testing.assert_array_equal(placed[2:4, 3:, 1:5], VOXELS[2:4, 3:, 1:5])
    with pytest.raises(IndexError, match="Expected a part of"):
        placed[0:2, 3:, 1:5]


@pytest.mark.parametrize("in_file", [False, True])
def test_a_part_lies_where_its_voxels_lay(in_file):
    grid = Grid((5, 6, 7), (2.0, 1.0, 0.5), (10.0, 20.0, 30.0), ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    whole = Volume(PlacedVoxels(VOXELS, (0, 0, 0), VOXELS.shape) if in_file else VOXELS, grid)
    part = part_of(whole, BOX)
    assert part.grid == replace(grid, shape=(3, 4, 5), origin=(10.0 - 2.0, 20.0, 30.0 + 2.0))
    np.testing.assert_array_equal(part.voxels[:, :, :], VOXELS[BOX.slices])
