"""Offset and scale of a whole volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.volumes.intensity import normalised, volume_intensity


def test_offset_and_scale_are_mean_and_standard_deviation_per_channel():
    image = np.zeros((2, 1, 2, 2), dtype=np.uint16)
    image[..., 0] = [[[1, 3]], [[1, 3]]]
    image[..., 1] = [[[60000, 60000]], [[60000, 64000]]]
    expected = [[2, 1], [61000, np.sqrt(3) * 1000]]  # deviations of the second: three of -1000 and one of 3000
    np.testing.assert_allclose(volume_intensity(image), expected, rtol=1e-6)


@given(value=st.floats(-(2.0**100), 2.0**100, width=32), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_a_constant_channel_becomes_exactly_zero(value, shape):
    image = np.full((*shape, 1), value, dtype=np.float32)
    intensity = volume_intensity(image)
    assert intensity.tolist() == [[np.float32(value), 1]]
    assert not normalised(image[None], intensity[None]).any()


def test_one_in_a_million_is_not_lost():
    image = np.where(np.indices((20, 20, 20)).sum(axis=0) % 2, 1e6 + 1, 1e6 - 1).astype(np.float32)[..., None]
    intensity = volume_intensity(image)
    assert intensity.tolist() == [[1e6, 1]]
    assert set(np.unique(normalised(image[None], intensity[None]))) == {-1, 1}


def test_many_voxels_do_not_wear_the_sum_out():
    image = np.full((64, 128, 128, 1), 0.1, dtype=np.float32)
    image[::2] = 0.3
    np.testing.assert_allclose(volume_intensity(image), [[0.2, 0.1]], rtol=1e-6)


def test_every_tile_of_a_batch_is_normalised_by_the_volume_that_it_comes_from():
    tiles = np.array([10.0, 10.0], dtype=np.float32).reshape(2, 1, 1, 1, 1)
    intensity = np.array([[[4, 2]], [[0, 5]]], dtype=np.float32)
    assert normalised(tiles, intensity).ravel().tolist() == pytest.approx([3, 2])
