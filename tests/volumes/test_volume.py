from dataclasses import replace

import numpy as np
import pytest

from keras_unet3d.volumes import Grid, Segment, Volume

OBLIQUE = Grid(
    (4, 5, 6), (2.04, 1.76, 1.5), (10, -20, 30), ((0, -0.6, 0.8), (1, 0, 0), (0, 0.8, 0.6)), "µm"
)  # x runs to posterior, y and z lie obliquely


def test_the_affine_takes_the_index_to_the_place_computed_by_hand():
    grid = Grid((4, 5, 6), (3, 2, 1), (10, 20, 30), ((0, -1, 0), (1, 0, 0), (0, 0, 1)))
    # One step in x goes 1 along the second physical axis, one in y 2 back along the first, one in z 3 along the third.
    np.testing.assert_array_equal(grid.affine @ [1, 1, 1, 1], [10 - 2, 20 + 1, 30 + 3, 1])


def test_slices_have_the_names_of_planes_where_the_grid_lies_in_a_patient():
    assert Grid((4, 5, 6)).planes == ("axial", "coronal", "sagittal")
    # x runs to posterior; z more to left than to superior, and y the other way round.
    assert OBLIQUE.planes == ("sagittal", "axial", "coronal")
    right_to_left_stack = Grid((4, 5, 6), direction=((0, 0, -1), (1, 0, 0), (0, -1, 0)))
    assert right_to_left_stack.planes == ("sagittal", "axial", "coronal")
    assert Grid((4, 5, 6), placed=False).planes == ("", "", "")


def test_a_grid_comes_back_from_its_affine():
    back = Grid.from_affine(OBLIQUE.shape, OBLIQUE.affine, "µm")
    np.testing.assert_allclose(back.spacing, OBLIQUE.spacing, rtol=1e-15)
    np.testing.assert_allclose(back.direction, OBLIQUE.direction, atol=1e-15)
    assert (back.origin, back.unit) == (OBLIQUE.origin, "µm")


@pytest.mark.parametrize("column", [[0, 0, 0], [np.nan, 0, 0], [0, 1, 0]])
def test_an_affine_that_does_not_span_space_is_no_grid(column):
    affine = np.eye(4)
    affine[:3, 0] = column
    with pytest.raises(ValueError, match="affine"):
        Grid.from_affine((1, 1, 1), affine)


def test_units_change_the_numbers_and_not_the_places():
    grid = OBLIQUE.in_unit("mm")
    assert grid.spacing == pytest.approx((2.04e-3, 1.76e-3, 1.5e-3))
    assert grid.origin == pytest.approx((0.01, -0.02, 0.03))
    assert grid.matches(OBLIQUE)
    assert OBLIQUE.matches(grid)
    assert not replace(grid, unit="µm").matches(OBLIQUE)


def test_an_unknown_unit_is_taken_as_the_others():
    assert replace(OBLIQUE, unit="").matches(OBLIQUE)
    assert OBLIQUE.in_unit("") == OBLIQUE


def test_grids_match_to_a_hundredth_of_a_voxel():
    assert OBLIQUE.matches(replace(OBLIQUE, origin=(10.014, -20, 30)))
    assert not OBLIQUE.matches(replace(OBLIQUE, origin=(10.016, -20, 30)))
    assert not OBLIQUE.matches(replace(OBLIQUE, shape=(4, 5, 7)))
    # A spacing off by 0.5 % shifts the last of 6 voxels by 2.5 % of one.
    assert not OBLIQUE.matches(replace(OBLIQUE, spacing=(2.04, 1.76, 1.5 * 1.005)))


def test_grids_agree_where_one_leaves_out_what_the_other_says():
    assert OBLIQUE.agrees(Grid(OBLIQUE.shape, placed=False))  # a plain TIFF
    assert not OBLIQUE.agrees(Grid((4, 5, 7), placed=False))
    calibrated = Grid(OBLIQUE.shape, OBLIQUE.spacing, unit="µm", placed=False)  # one that was saved by Fiji
    assert OBLIQUE.agrees(calibrated)
    assert calibrated.agrees(OBLIQUE)
    assert not OBLIQUE.agrees(replace(calibrated, spacing=(2.1, 1.76, 1.5)))
    # ITK turns µm into mm, and NRRD and MetaImage do not say so.
    assert OBLIQUE.agrees(replace(OBLIQUE.in_unit("mm"), unit=""))
    assert replace(OBLIQUE.in_unit("mm"), unit="").agrees(OBLIQUE)
    assert not OBLIQUE.agrees(replace(OBLIQUE, unit="mm"))
    # Where both say a place, it counts.
    assert not OBLIQUE.agrees(replace(calibrated, placed=True))


def test_a_grid_is_shown_by_named_axes():
    assert str(Grid((64, 244, 248), (2.04, 1.76, 1.76), unit="µm")) == (
        "x=248 y=244 z=64, spacing x=1.76 y=1.76 z=2.04 µm"
    )
    assert "origin x=10 y=-20 z=30, direction [0 -0.6 0.8; 1 0 0; 0 0.8 0.6]" in str(OBLIQUE)


def test_other_voxels_take_grid_and_header_along_but_not_the_channels():
    image = Volume(np.zeros((4, 5, 6, 2), np.float32), OBLIQUE, channels=("a", "b"), header="as read")
    labels = image.with_voxels(np.ones((4, 5, 6), np.uint8), {1: Segment("tubule")})
    assert (labels.grid, labels.header, labels.channels) == (OBLIQUE, "as read", ())
    assert labels.segments[1].name == "tubule"
    with pytest.raises(ValueError, match="x=6 y=5 z=4"):
        image.with_voxels(np.ones((4, 5, 7), np.uint8))
