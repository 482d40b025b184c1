import subprocess
import sys

import numpy as np
import pytest

from keras_unet3d.augmentation.parameters import draw_grey, draw_map, rotation_matrix, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.box import Box

TILE = Box.at((3, -4, 5), (28, 44, 36))
ISOTROPIC = (1.0, 1.0, 1.0)


def drawn(*key):
    rng = sample_generator(*key)
    coordinate_map = draw_map(AugmentationSettings(mirror=("x",)), rng, TILE, ISOTROPIC)
    grey = draw_grey(AugmentationSettings(), rng, channels=2)
    return coordinate_map, grey


def test_seed_step_and_index_decide_a_sample_to_the_last_bit():
    (one, grey_one), (other, grey_other) = drawn(1, 2, 3), drawn(1, 2, 3)
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.displacement, other.displacement)
    assert one.grid_origin == other.grid_origin
    np.testing.assert_array_equal(grey_one.gamma, grey_other.gamma)
    assert grey_one.seed == grey_other.seed


@pytest.mark.parametrize("key", [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 3, 2), (1, 2, 3, 1), (1 + 2**32, 2, 3)])
def test_any_other_seed_step_index_or_attempt_is_another_sample(key):
    (one, grey_one), (other, grey_other) = drawn(1, 2, 3), drawn(*key)
    assert not np.isin(other.displacement, one.displacement).any()
    assert not np.isclose(one.matrix, other.matrix).all()
    assert grey_other.seed != grey_one.seed


def test_a_seed_beyond_32_bits_is_no_other_seed_and_step():
    assert sample_generator(2**32, 0, 0).random() != sample_generator(0, 1, 0).random()


def test_displacements_have_the_standard_deviation_asked_for():
    tile = Box.at((0, 0, 0), (200, 200, 200))
    displacement = draw_map(AugmentationSettings(), sample_generator(0, 0, 0), tile, ISOTROPIC).displacement
    assert displacement.size > 1500
    assert displacement.std() == pytest.approx(4, rel=0.08)
    assert displacement.mean() == pytest.approx(0, abs=0.4)


def test_enlarging_the_grid_keeps_what_was_drawn():
    still = AugmentationSettings(rotation_degrees=(0, 0, 0), scaling=(1, 1), displacement_sigma=4)
    far = AugmentationSettings(rotation_degrees=(0, 0, 0), scaling=(0.1, 0.1), displacement_sigma=4)
    near_map = draw_map(still, sample_generator(5, 0, 0), TILE, ISOTROPIC)
    far_map = draw_map(far, sample_generator(5, 0, 0), TILE, ISOTROPIC)
    assert np.prod(far_map.displacement.shape) > np.prod(near_map.displacement.shape)
    assert np.isin(near_map.displacement[:, 1:-1, 1:-1, 1:-1], far_map.displacement).all()
    offset = np.subtract(near_map.grid_origin, far_map.grid_origin)
    assert (offset % 32 == 0).all()


def test_a_rotation_about_z_turns_x_towards_y():
    turned = rotation_matrix((90, 0, 0), ISOTROPIC) @ [0, 0, 1]
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-12)


def test_a_rotation_is_one_in_millimetres():
    # Voxels of z=4 mm y=1 mm x=1 mm: a quarter turn about x takes 4 voxels (4 mm) along y to 1 voxel (4 mm) along z.
    quarter = rotation_matrix((0, 0, 90), (4, 1, 1))
    np.testing.assert_allclose(quarter @ [0, 4, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, -4, 0], atol=1e-12)


def test_any_drawn_rotation_keeps_lengths_in_millimetres():
    chosen = AugmentationSettings(rotation_degrees=(180, 180, 180), scaling=(1, 1), mirror=("z", "y", "x"))
    spacing = np.array([5.0, 0.4, 0.7])
    for index in range(10):
        matrix = draw_map(chosen, sample_generator(0, 0, index), Box.at((0, 0, 0), (2, 2, 2)), spacing).matrix
        physical = np.diag(spacing) @ matrix @ np.diag(1 / spacing)
        np.testing.assert_allclose(physical @ physical.T, np.eye(3), atol=1e-12)


def test_twice_the_magnification_reads_half_as_far():
    chosen = AugmentationSettings(displacement_sigma=0, rotation_degrees=(0, 0, 0), scaling=(2, 2))
    matrix = draw_map(chosen, sample_generator(0, 0, 0), TILE, (3.0, 1.0, 2.0)).matrix
    np.testing.assert_allclose(matrix, np.eye(3) / 2, atol=1e-12)


def test_half_of_the_samples_are_mirrored_and_only_along_the_axes_named():
    chosen = AugmentationSettings(displacement_sigma=0, rotation_degrees=(0, 0, 0), scaling=(1, 1), mirror=("x",))
    maps = [draw_map(chosen, sample_generator(0, 0, index), TILE, ISOTROPIC) for index in range(60)]
    signs = np.array([np.diag(coordinate_map.matrix) for coordinate_map in maps])
    assert (signs[:, :2] == 1).all()
    assert 15 < (signs[:, 2] == -1).sum() < 45


def test_parameters_stay_in_their_ranges():
    chosen = AugmentationSettings(gain=(0.5, 2), offset=0.3, gamma=(0.25, 4), noise=0.2)
    grey = draw_grey(chosen, sample_generator(0, 0, 0), channels=2000)
    for values, low, high in [(grey.gain, 0.5, 2), (grey.gamma, 0.25, 4), (grey.offset, -0.3, 0.3)]:
        assert low <= values.min() < low + 0.02
        assert high - 0.02 < values.max() <= high
    assert (grey.gain < 1).mean() == pytest.approx(0.5, abs=0.05)
    assert 0 <= grey.noise_sigma.min() < 0.01
    assert 0.19 < grey.noise_sigma.max() <= 0.2


def test_a_spacing_of_zero_is_refused():
    with pytest.raises(ValueError, match="x=1 y=0 z=1"):
        draw_map(AugmentationSettings(), sample_generator(0, 0, 0), TILE, (1.0, 0.0, 1.0))


def test_drawing_and_choosing_an_engine_load_no_network_library():
    code = (
        "import sys, keras_unet3d.augmentation.parameters, keras_unet3d.augmentation.engines;"
        "print([name for name in ('keras', 'tensorflow', 'scipy', 'elasticdeform') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
