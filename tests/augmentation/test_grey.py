import numpy as np
import pytest
from keras import ops

from keras_unet3d.augmentation.grey import apply_grey, grey_inputs
from keras_unet3d.augmentation.parameters import GreyValues, draw_grey, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((6, 7, 8, 2)).astype(np.float32)


def applied(image, gain=(1, 1), offset=(0, 0), gamma=(1, 1), noise_sigma=(0, 0), seed=0):
    values = [np.asarray(value, dtype=np.float32) for value in (gain, offset, gamma, noise_sigma)]
    inputs = grey_inputs(GreyValues(*values, seed=seed), image.shape[:3])
    return ops.convert_to_numpy(apply_grey(ops.convert_to_tensor(image), *map(ops.convert_to_tensor, inputs)))


def test_no_augmentation_changes_no_bit(image):
    grey = draw_grey(AugmentationSettings.none(), sample_generator(0, 0, 0), channels=2)
    inputs = map(ops.convert_to_tensor, grey_inputs(grey, image.shape[:3]))
    np.testing.assert_array_equal(ops.convert_to_numpy(apply_grey(ops.convert_to_tensor(image), *inputs)), image)


def test_gain_and_offset_are_per_channel(image):
    expected = np.stack([2 * image[..., 0] + 1, 0.5 * image[..., 1] - 3], axis=-1)
    np.testing.assert_allclose(applied(image, gain=(2, 0.5), offset=(1, -3)), expected, rtol=1e-5, atol=1e-6)


def test_gamma_keeps_the_darkest_and_the_brightest_and_squares_what_is_between():
    ramp = np.array([-1, 0, 1, 3], dtype=np.float32).reshape(1, 1, 4, 1)  # relative: 0, 1/4, 1/2, 1
    curved = applied(ramp, gain=[1], offset=[0], gamma=[2], noise_sigma=[0])
    np.testing.assert_allclose(curved.ravel(), [-1, -1 + 4 / 16, 0, 3], atol=1e-6)


def test_a_constant_channel_stays_finite_and_constant():
    constant = np.full((3, 3, 3, 2), 5, dtype=np.float32)
    np.testing.assert_allclose(applied(constant, gamma=(0.5, 2)), constant)


def test_noise_is_added_with_the_strength_of_the_channel(image):
    added = applied(np.zeros((30, 30, 30, 2), np.float32), noise_sigma=(0.5, 0), seed=4)
    assert added[..., 0].std() == pytest.approx(0.5, rel=0.02)
    assert (added[..., 1] == 0).all()
