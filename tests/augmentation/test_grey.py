from statistics import NormalDist

import numpy as np
import pytest
from keras import ops

from keras_unet3d.augmentation.grey import apply_grey, grey_inputs, normal_noise
from keras_unet3d.augmentation.parameters import GreyValues, draw_grey, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((6, 7, 8, 2)).astype(np.float32)


def applied(image, gain=(1, 1), offset=(0, 0), gamma=(1, 1), noise_sigma=(0, 0), seed=0):
    values = [np.asarray(value, dtype=np.float32) for value in (gain, offset, gamma, noise_sigma)]
    inputs = grey_inputs(GreyValues(*values, seed=seed))
    return ops.convert_to_numpy(apply_grey(ops.convert_to_tensor(image), *map(ops.convert_to_tensor, inputs)))


def test_no_augmentation_changes_no_bit(image):
    grey = draw_grey(AugmentationSettings.none(), sample_generator(0, 0, 0), channels=2)
    inputs = map(ops.convert_to_tensor, grey_inputs(grey))
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


def noise(seed, shape=(40, 50, 60, 2)):
    return ops.convert_to_numpy(normal_noise(shape, ops.convert_to_tensor(np.array(seed, np.int32))))


def test_noise_is_normally_distributed():
    """The share of a normal distribution below each of some bounds, to four standard errors; no number is infinite."""
    found = noise((5, -7)).ravel()
    assert np.isfinite(found).all()
    for bound, share in [(-3, 0.00135), (-2, 0.02275), (-1, 0.15866), (0, 0.5), (1, 0.84134), (2.5, 0.99379)]:
        assert (found < bound).mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / found.size))


def test_noise_of_neighbours_channels_and_seeds_is_unrelated():
    found = noise((5, -7))
    others = [noise((5, -6)), noise((6, -7)), *(np.roll(found, 1, axis) for axis in range(4))]
    for other in others:
        assert np.corrcoef(found.ravel(), other.ravel())[0, 1] == pytest.approx(0, abs=5 / np.sqrt(found.size))
    np.testing.assert_array_equal(noise((5, -7)), found)


def test_noise_is_the_hash_of_its_index_and_seed():
    """In 32 bits without sign, step by step, as in the reference implementation of MurmurHash3."""

    def mixed(bits):
        bits = (bits ^ bits >> 16) * 0x85EBCA6B % 2**32
        bits = (bits ^ bits >> 13) * 0xC2B2AE35 % 2**32
        return bits ^ bits >> 16

    for index, number in enumerate(noise((3, -1), (4,))):
        hashed = mixed((mixed(index + 3) - 1) % 2**32)
        expected = NormalDist().inv_cdf(((hashed >> 9) + 0.5) / 2**23)
        assert number == pytest.approx(expected, abs=1e-5)
