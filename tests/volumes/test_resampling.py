"""Voxels of another spacing: where they lie, what they hold, and that parts are those of the whole."""

from math import prod

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.volumes import Grid, resampling
from keras_unet3d.volumes.resampling import AxisStep, ResampledClasses, ResampledVoxels, resampled_grid
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.voxels import Voxels

spacings = st.tuples(*[st.sampled_from([0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 3.1])] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)


def random(shape, kind=np.float32):
    return np.random.default_rng(sum(shape)).integers(0, 200, shape).astype(kind)


def onto(shape, old, new):
    """A grid, and that of another spacing."""
    grid = Grid(shape, old, unit="mm")
    return grid, resampled_grid(grid, Spacing(new, "mm"))


@given(shapes, spacings, spacings)
def test_the_first_corner_stays_and_the_last_moves_by_half_a_voxel_at_most(shape, old, new):
    turned = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    grid = Grid(shape, old, (5.0, -6.0, 7.0), turned, "mm")
    found = resampled_grid(grid, Spacing(new, "mm"))
    corners = [each.affine @ (-0.5, -0.5, -0.5, 1) for each in (grid, found)]
    np.testing.assert_allclose(*corners, atol=1e-9)
    assert (found.spacing, found.direction, found.unit) == (new, turned, "mm")
    for axis in range(3):
        apart = abs(found.shape[axis] * new[axis] - shape[axis] * old[axis])
        assert apart <= new[axis] / 2 + 1e-9 or found.shape[axis] == 1


def test_axes_whose_spacing_is_the_same_to_a_hundredth_stay_as_they_are():
    grid = Grid((10, 20, 30), (2.0, 1.0, 1.0), unit="mm")
    assert resampled_grid(grid, Spacing((2.01, 0.995, 1.0), "mm")) == grid
    assert resampled_grid(grid, Spacing((4000, 995, 1000), "µm")) == Grid(
        (5, 20, 30), (4.0, 1.0, 1.0), (0.0, 0.0, 1.0), unit="mm"
    )


def test_a_ramp_is_the_same_ramp_in_space():
    """Along x its value is the place in mm, linear between centres, and that of the last voxel beyond."""
    grid, other = onto((1, 1, 8), (1, 1, 1), (1, 1, 0.5))
    ramp = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1)
    found = ResampledVoxels(ramp, grid, other)[:, :, :].ravel()
    np.testing.assert_allclose(found, np.clip(np.arange(16) / 2 - 0.25, 0, 7), atol=1e-6)


def test_longer_voxels_are_the_mean_of_what_lies_in_them_about():
    """Stripes of one voxel are grey in voxels of four; sampled without smoothing they would be stripes."""
    grid, other = onto((1, 1, 64), (1, 1, 1), (1, 1, 4))
    stripes = (np.arange(64, dtype=np.float32) % 2).reshape(1, 1, 64, 1)
    found = ResampledVoxels(stripes, grid, other)[:, :, :].ravel()
    np.testing.assert_allclose(found[2:-2], 0.5, atol=0.01)


def test_the_point_spread_becomes_that_of_the_longer_voxel():
    """Full widths at half maximum of 1 and of 3 voxels: their squares differ by 8."""
    axis = AxisStep(100, 3.0)
    assert (2 * np.sqrt(2 * np.log(2)) * axis.sigma) ** 2 == pytest.approx(3**2 - 1**2)
    assert AxisStep(100, 0.5).sigma == AxisStep(100, 1.0).radius == 0


def test_it_is_what_simpleitk_makes_of_an_oblique_image():
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    direction = tuple(tuple(row) for row in turn)
    grid = Grid((9, 8, 7), (2.0, 1.0, 1.5), (3.0, -4.0, 5.0), direction, "mm")
    other = resampled_grid(grid, Spacing((1.3, 0.7, 1.5), "mm"))
    voxels = random((*grid.shape, 1))
    image = SimpleITK.GetImageFromArray(voxels[..., 0])
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection(turn.ravel())
    expected = SimpleITK.Resample(
        image,
        other.shape[::-1],
        SimpleITK.Transform(),
        SimpleITK.sitkLinear,
        other.origin,
        other.spacing[::-1],
        turn.ravel(),
        0.0,
        SimpleITK.sitkFloat32,
        True,
    )
    found = ResampledVoxels(voxels, grid, other)[:, :, :]
    np.testing.assert_allclose(found[..., 0], SimpleITK.GetArrayFromImage(expected), atol=1e-3)


@settings(max_examples=30)
@given(st.data(), shapes, spacings, spacings, st.sampled_from([(), (1,), (3,)]), st.sampled_from([1, 1 << 24]))
def test_parts_are_those_of_the_whole_however_little_is_read_at_once(data, shape, old, new, channels, limit):
    grid, other = onto(shape, old, new)
    with pytest.MonkeyPatch.context() as patch:
        if channels:
            voxels = ResampledVoxels(random((*shape, *channels)), grid, other)
        else:
            voxels = ResampledClasses(random(shape, np.uint8) % 3, grid, other)
        assert isinstance(voxels, Voxels)
        whole = voxels[:, :, :]
        assert whole.shape == voxels.shape == (*other.shape, *channels)
        assert whole.dtype == voxels.dtype
        patch.setattr(resampling, "SLAB_BYTES", limit)
        ends = [data.draw(st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted)) for n in other.shape]
        part = tuple(slice(*pair) for pair in ends)
        np.testing.assert_allclose(voxels[part], whole[part], atol=1e-4)


@given(shapes, spacings, spacings)
def test_a_constant_image_stays_and_no_class_appears(shape, old, new):
    grid, other = onto(shape, old, new)
    np.testing.assert_allclose(ResampledVoxels(np.full((*shape, 1), 7.0, np.float32), grid, other)[:], 7, rtol=1e-6)
    classes = random(shape, np.uint16) % 5
    assert set(np.unique(ResampledClasses(classes, grid, other)[:])) <= set(np.unique(classes))


def test_a_class_takes_the_voxels_in_which_it_has_the_largest_share():
    """Halfway between two classes the lower one is taken; a border between voxels stays where it is in space."""
    classes = np.array([0, 0, 2, 2, 1], np.uint8).reshape(1, 1, 5)
    grid, other = onto((1, 1, 5), (1, 1, 1), (1, 1, 0.5))
    assert ResampledClasses(classes, grid, other)[:].ravel().tolist() == [0, 0, 0, 0, 2, 2, 2, 2, 1, 1]
    grid, other = onto((1, 1, 2), (1, 1, 1), (1, 1, 2 / 3))
    assert ResampledClasses(np.array([[[4, 1]]], np.uint8), grid, other)[:].ravel().tolist() == [4, 1, 1]


def test_there_and_back_a_smooth_object_keeps_its_place_and_volume():
    z, y, x = np.ogrid[:40, :40, :40]
    ball = ((z - 20) ** 2 + (y - 18) ** 2 + (x - 22) ** 2 < 12**2).astype(np.uint8)
    for new in ((1.7, 1.7, 1.7), (0.6, 0.8, 3.0)):
        grid, other = onto(ball.shape, (1, 1, 1), new)
        there = ResampledClasses(ball, grid, other)[:]
        assert there.sum() * prod(new) == pytest.approx(ball.sum(), rel=0.03)
        back = int((ResampledClasses(there, other, grid)[:] != ball).sum())
        assert back < 0.04 * 2 * ball.sum()  # a Dice of 0.96; the nearest voxels there and back: 0.94


def test_what_is_read_at_once_is_little_though_voxels_get_much_longer(monkeypatch):
    """Of 64 MB, of which a plane of voxels that are ten times as long needs a tenth."""

    class Watched:
        ndim, dtype, shape = 4, np.dtype(np.float32), (256, 256, 256, 1)
        largest = 0

        def __getitem__(self, part):
            found = np.zeros([each.stop - each.start for each in part] + [1], np.float32)
            Watched.largest = max(self.largest, found.nbytes)
            return found

    grid, other = onto((256, 256, 256), (1, 1, 1), (10, 2, 1))
    monkeypatch.setattr(resampling, "SLAB_BYTES", 1 << 19)
    assert (ResampledVoxels(Watched(), grid, other)[:4] == 0).all()
    assert 0 < Watched.largest < 1 << 22
