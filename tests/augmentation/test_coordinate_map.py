import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.augmentation.coordinate_map import CoordinateMap
from keras_unet3d.augmentation.parameters import draw_map, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.box import Box


def test_without_deformation_every_voxel_is_its_own_source(rigid_map):
    tile = Box((-3, 5, 0), (4, 12, 10))
    sources = rigid_map(tile).source_positions()
    np.testing.assert_array_equal(sources, np.mgrid[-3:4, 5:12, 0:10])


def test_without_deformation_nothing_but_the_tile_is_read(rigid_map):
    tile = Box((-3, 5, 0), (4, 12, 10))
    assert rigid_map(tile).source_box == tile


def test_the_matrix_turns_about_the_middle_of_the_tile(rigid_map):
    tile = Box.at((10, 20, 30), (4, 6, 7))
    coordinate_map = rigid_map(tile, np.diag([-1.0, 2.0, 1.0]))
    np.testing.assert_array_equal(coordinate_map.centre, [11.5, 22.5, 33])
    first_voxel = coordinate_map.source_positions()[:, 0, 0, 0]
    np.testing.assert_array_equal(first_voxel, [11.5 + 1.5, 22.5 - 2 * 2.5, 30])


def test_the_displacement_is_what_was_drawn_at_the_control_points():
    tile = Box.at((0, 0, 0), (65, 33, 97))
    displacement = np.random.default_rng(1).normal(scale=4, size=(3, 3, 2, 4))
    coordinate_map = CoordinateMap(tile, np.eye(3), displacement, (0, 0, 0))
    moved = coordinate_map.source_positions() - np.mgrid[:65, :33, :97]
    np.testing.assert_allclose(moved[:, ::32, ::32, ::32], displacement, atol=1e-12)


def test_a_part_of_the_tile_has_the_same_sources():
    tile = Box.at((5, -8, 3), (40, 30, 20))
    coordinate_map = draw_map(AugmentationSettings(), np.random.default_rng(2), tile, (2.0, 1.0, 1.0))
    part = Box((15, 0, 10), (25, 11, 19))
    whole = coordinate_map.source_positions()[:, 10:20, 8:19, 7:16]
    np.testing.assert_allclose(coordinate_map.source_positions(part), whole, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    start=st.tuples(*[st.integers(-50, 50)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 5)] * 3),
    grid_spacing=st.integers(4, 40),
    angle=st.floats(0, 180),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_read_contains_every_source_and_the_grid_contains_what_is_read(
    shape, start, spacing, grid_spacing, angle, seed
):
    chosen = AugmentationSettings(
        displacement_spacing=grid_spacing, rotation_degrees=(angle,) * 3, scaling=(0.5, 2), mirror=("z", "y", "x")
    )
    coordinate_map = draw_map(chosen, np.random.default_rng(seed), Box.at(start, shape), spacing)
    sources = coordinate_map.source_positions().reshape(3, -1)
    read, grid = coordinate_map.source_box, coordinate_map.grid_box
    assert (sources.min(axis=1) >= np.array(read.start) - 1e-9).all()
    assert (sources.max(axis=1) <= np.array(read.stop) - 1 + 1e-9).all()
    assert (np.array(grid.start) <= read.start).all()
    assert (np.array(grid.stop) >= read.stop).all()


def test_little_more_is_read_than_needed_for_the_tile_of_the_paper():
    tile = Box.at((0, 0, 0), (116, 132, 132))
    for index in range(5):
        coordinate_map = draw_map(AugmentationSettings(), sample_generator(0, 0, index), tile, (2.04, 1.76, 1.76))
        sources = coordinate_map.source_positions().reshape(3, -1)
        needed = np.floor(sources.max(axis=1)) - np.floor(sources.min(axis=1)) + 2
        assert (coordinate_map.source_box.shape <= needed + 3).all()


@pytest.mark.parametrize(
    ("matrix", "displacement", "origin", "message"),
    [
        (np.eye(4), np.zeros((3, 2, 2, 2)), (0, 0, 0), "3×3"),
        (np.eye(3), np.zeros((3, 1, 2, 2)), (0, 0, 0), "two or more control points"),
        (np.eye(3), np.zeros((3, 2, 2, 2)), (1, 0, 0), "does not cover the tile"),
    ],
)
def test_a_map_that_cannot_be_is_refused(matrix, displacement, origin, message):
    with pytest.raises(ValueError, match=message):
        CoordinateMap(Box.at((0, 0, 0), (20, 20, 20)), matrix, displacement, origin)
