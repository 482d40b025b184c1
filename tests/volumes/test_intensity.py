"""Offset and scale of a whole volume."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.volumes import intensity
from keras_unet3d.volumes.blocks import blocks
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
    found = volume_intensity(image)
    assert found.tolist() == [[np.float32(value), 1]]
    assert not normalised(image[None], found[None]).any()


def test_one_in_a_million_is_not_lost():
    image = np.where(np.indices((20, 20, 20)).sum(axis=0) % 2, 1e6 + 1, 1e6 - 1).astype(np.float32)[..., None]
    found = volume_intensity(image)
    assert found.tolist() == [[1e6, 1]]
    assert set(np.unique(normalised(image[None], found[None]))) == {-1, 1}


def test_many_voxels_do_not_wear_the_sum_out():
    image = np.full((64, 128, 128, 1), 0.1, dtype=np.float32)
    image[::2] = 0.3
    np.testing.assert_allclose(volume_intensity(image), [[0.2, 0.1]], rtol=1e-6)


def test_every_tile_of_a_batch_is_normalised_by_the_volume_that_it_comes_from():
    tiles = np.array([10.0, 10.0], dtype=np.float32).reshape(2, 1, 1, 1, 1)
    of_volumes = np.array([[[4, 2]], [[0, 5]]], dtype=np.float32)
    assert normalised(tiles, of_volumes).ravel().tolist() == pytest.approx([3, 2])


class InChunks:
    """Voxels that are read in parts, of which those of a chunk are stored together."""

    def __init__(self, voxels, together):
        self.shape, self.dtype, self.ndim, self.together = voxels.shape, voxels.dtype, voxels.ndim, together
        self.read = np.zeros(voxels.shape[:3], int)
        self._voxels = voxels

    def __getitem__(self, part):
        self.read[part] += 1
        return self._voxels[part].copy()


@settings(max_examples=20)
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    channels=st.integers(1, 3),
    together=st.tuples(*[st.integers(1, 5)] * 3),
    kind=st.sampled_from(["uint8", "int16", "uint16", "float32", "float64"]),
    block=st.sampled_from([1, 500, 1 << 22]),
    group=st.sampled_from([1, 7, 1 << 15]),
)
def test_however_a_volume_is_read_its_intensity_is_that_of_numpy(shape, channels, together, kind, block, group):
    image = np.random.default_rng(1).normal(100, 30, (*shape, channels)).clip(0, 250).astype(kind)
    stored = InChunks(image, together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intensity, "blocks", partial(blocks, limit=block))
        patch.setattr(intensity, "_GROUP", group)
        found = volume_intensity(stored)
    mean, scale = image.mean(axis=(0, 1, 2), dtype=np.float64), image.std(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(found, np.stack([mean, np.where(scale > 0, scale, 1)], axis=-1), rtol=1e-6)
    stored.read[0, 0, 0] -= 1  # which all values are measured from
    assert (stored.read == 1).all()


def test_a_constant_channel_stays_one_whatever_the_groups(monkeypatch):
    monkeypatch.setattr(intensity, "_GROUP", 7)
    image = np.full((3, 11, 5, 2), 0.1, dtype=np.float32)
    image[..., 1] = np.arange(165).reshape(3, 11, 5)
    found = volume_intensity(image)
    assert found[0].tolist() == [np.float32(0.1), 1]
    np.testing.assert_allclose(found[1], [82, np.sqrt((165**2 - 1) / 12)], rtol=1e-6)
