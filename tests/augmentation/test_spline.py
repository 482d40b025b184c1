import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from keras_unet3d.augmentation.spline import bounding_points, interpolation_matrix


@pytest.mark.parametrize("count", [2, 3, 6])
def test_it_is_scipys_interpolating_cubic_spline_with_mirrored_ends(count):
    values = np.random.default_rng(count).normal(size=count)
    voxels = 32 * (count - 1) + 1
    expected = map_coordinates(values, [np.arange(voxels) / 32], order=3, mode="mirror")
    np.testing.assert_allclose(interpolation_matrix(0, voxels, 32, count) @ values, expected, atol=1e-10)


def test_it_takes_the_control_values_at_the_control_points_to_the_last_bit():
    values = np.array([3.0, -7.0, 0.1, 11.0])
    assert ((interpolation_matrix(0, 97, 32, 4) @ values)[::32] == values).all()


def test_a_part_is_the_same_rows():
    whole = interpolation_matrix(0, 65, 32, 3)
    np.testing.assert_array_equal(interpolation_matrix(20, 50, 32, 3), whole[20:50])


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(2, 9),
    spacing=st.sampled_from([4, 7, 32]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_the_spline_stays_within_its_bounds(count, spacing, seed, data):
    voxels = spacing * (count - 1) + 1
    start = data.draw(st.integers(0, voxels - 1))
    stop = data.draw(st.integers(start + 1, voxels))
    values = np.random.default_rng(seed).normal(scale=4, size=count)
    spline = interpolation_matrix(start, stop, spacing, count) @ values
    points, matrix = bounding_points(start, stop, spacing, count)
    bounds = matrix @ values
    assert bounds.min() - 1e-9 <= spline.min()
    assert spline.max() <= bounds.max() + 1e-9
    # Together with a linear function as well, which makes the bound of a rotated and deformed tile tight.
    slope = data.draw(st.floats(-2, 2))
    sloped = spline + slope * np.arange(start, stop)
    bounds = bounds + slope * points
    assert bounds.min() - 1e-9 <= sloped.min()
    assert sloped.max() <= bounds.max() + 1e-9


def test_the_bounds_of_a_deformation_of_4_voxels_are_about_a_voxel_wide():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(scale=4, size=6)
        spline = interpolation_matrix(7, 139, 32, 6) @ values
        bounds = bounding_points(7, 139, 32, 6)[1] @ values
        assert spline.min() - bounds.min() < 1
        assert bounds.max() - spline.max() < 1


def test_the_bounds_of_a_straight_line_are_its_ends():
    points, _ = bounding_points(7, 139, 32, 6)
    assert points[0] == 7
    assert points[-1] == 138
