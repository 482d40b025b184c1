"""Offset and scale of a whole volume."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.volumes import value_sums
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.intensity import (
    FARTHEST,
    LIMIT,
    PER_VOLUME,
    Intensities,
    Window,
    drawn_in,
    volume_intensity,
)
from keras_unet3d.volumes.value_sums import measured, portions


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
    assert not PER_VOLUME.normalised(image[None], found[None]).any()


def test_one_in_a_million_is_not_lost():
    image = np.where(np.indices((20, 20, 20)).sum(axis=0) % 2, 1e6 + 1, 1e6 - 1).astype(np.float32)[..., None]
    found = volume_intensity(image)
    assert found.tolist() == [[1e6, 1]]
    assert set(np.unique(PER_VOLUME.normalised(image[None], found[None]))) == {-1, 1}


def test_many_voxels_do_not_wear_the_sum_out():
    image = np.full((64, 128, 128, 1), 0.1, dtype=np.float32)
    image[::2] = 0.3
    np.testing.assert_allclose(volume_intensity(image), [[0.2, 0.1]], rtol=1e-6)


def test_every_tile_of_a_batch_is_normalised_by_the_volume_that_it_comes_from():
    tiles = np.array([10.0, 10.0], dtype=np.float32).reshape(2, 1, 1, 1, 1)
    of_volumes = np.array([[[4, 2]], [[0, 5]]], dtype=np.float32)
    assert PER_VOLUME.normalised(tiles, of_volumes).ravel().tolist() == pytest.approx([3, 2])


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
    portion=st.sampled_from([50, 700, 1 << 28]),
)
def test_however_a_volume_is_read_its_intensity_is_that_of_numpy(
    shape, channels, together, kind, block, group, portion
):
    image = np.random.default_rng(1).normal(100, 30, (*shape, channels)).clip(0, 250).astype(kind)
    stored = InChunks(image, together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_sums, "blocks", partial(blocks, limit=block))
        patch.setattr(value_sums, "_GROUP", group)
        patch.setattr(value_sums, "_PORTION", portion)
        found = volume_intensity(stored)
    mean, scale = image.mean(axis=(0, 1, 2), dtype=np.float64), image.std(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(found, np.stack([mean, np.where(scale > 0, scale, 1)], axis=-1), rtol=1e-6)
    stored.read[0, 0, 0] -= 1  # which all values are measured from
    assert (stored.read == 1).all()


def test_a_constant_channel_stays_one_whatever_the_groups(monkeypatch):
    monkeypatch.setattr(value_sums, "_GROUP", 7)
    image = np.full((3, 11, 5, 2), 0.1, dtype=np.float32)
    image[..., 1] = np.arange(165).reshape(3, 11, 5)
    found = volume_intensity(image)
    assert found[0].tolist() == [np.float32(0.1), 1]
    np.testing.assert_allclose(found[1], [82, np.sqrt((165**2 - 1) / 12)], rtol=1e-6)


# Outliers


def noise(shape=(50, 50, 40), seed=3):
    """Of mean 100 and standard deviation 5."""
    return np.random.default_rng(seed).normal(100, 5, (*shape, 1)).astype(np.float32)


def with_values(image, count, value, seed=4):
    changed = image.copy()
    changed.reshape(-1)[np.random.default_rng(seed).permutation(image.size)[:count]] = value
    return changed


def normalised(image):
    return PER_VOLUME.normalised(image[None], volume_intensity(image)[None])[0]


def test_one_hot_pixel_in_a_hundred_thousand_changes_the_others_by_less_than_a_hundredth():
    image = noise()
    hot = with_values(image, 1, 1e6)
    changed = image != hot
    (offset, scale), (plain_offset, plain_scale) = (volume_intensity(each)[0].tolist() for each in (hot, image))
    assert scale == pytest.approx(plain_scale, rel=0.01)
    assert offset == pytest.approx(plain_offset, abs=0.01 * plain_scale)
    np.testing.assert_allclose(normalised(hot)[~changed], normalised(image)[~changed], atol=0.01, rtol=0.01)
    assert normalised(hot)[changed] == FARTHEST
    assert volume_intensity(hot) == pytest.approx(volume_intensity(with_values(image, 1, 1e9)), rel=1e-5)


def test_a_bright_structure_in_a_hundredth_of_the_volume_stays_as_it_is():
    """At 30 times the noise: σ² = 1 + 0.01 · 0.99 · 30², so that it lies 29.7 / 3.15 = 9.4 deviations from the mean."""
    image = np.random.default_rng(0).normal(0, 1, (50, 50, 40, 1)).astype(np.float32)
    image = with_values(image, image.size // 100, 30.0)
    found = volume_intensity(image)
    np.testing.assert_allclose(found, [[image.mean(dtype=float), image.std(dtype=float)]], rtol=1e-6)
    assert found[0, 1] == pytest.approx(3.15, rel=0.01)
    np.testing.assert_allclose(normalised(image), (image - found[0, 0]) / found[0, 1], rtol=1e-6)
    assert normalised(image).max() == pytest.approx(9.4, rel=0.01)


@pytest.mark.parametrize("share", [0.001, 0.005, 0.009])
def test_up_to_a_hundredth_of_outliers_leave_the_others_a_spread(share):
    """Of those beside them: s² = 1 + f LIMIT² s² wherever the outliers lie, so that they keep √(1 − f LIMIT²)."""
    image = noise()
    hot = with_values(image, round(share * image.size), 65_520)
    spread = normalised(hot)[image == hot].std()
    assert spread == pytest.approx(np.sqrt(1 - share * LIMIT**2), rel=0.06)
    assert spread > 0.3


def test_bright_structures_beyond_the_limit_keep_their_differences():
    """Nuclei in a three hundredth of a dark volume, at 15 to 30 times its noise."""
    image = np.random.default_rng(0).normal(0, 1, (50, 50, 40, 1)).astype(np.float32)
    nuclei = np.random.default_rng(1).permutation(image.size)[: image.size // 300]
    image.reshape(-1)[nuclei] = np.linspace(15, 30, len(nuclei))
    found = normalised(image).reshape(-1)[nuclei]
    assert found.min() > LIMIT
    assert (np.diff(found) > 0).all()


@given(seed=st.integers(0, 99), share=st.sampled_from([0, 1e-4, 1e-3, 8e-3]), value=st.sampled_from([-1e6, 3e2, 1e5]))
def test_offset_and_scale_are_the_moments_of_the_values_drawn_in_by_them(seed, share, value):
    """The definition itself."""
    image = with_values(noise((20, 20, 25), seed), int(share * 10_000), value)
    offset, scale = volume_intensity(image)[0].astype(float)
    inside = image.astype(float).clip(offset - LIMIT * scale, offset + LIMIT * scale)
    assert inside.mean() == pytest.approx(offset, abs=1e-4 * scale)
    assert inside.std() == pytest.approx(scale, rel=1e-4)
    if share == 0:
        np.testing.assert_allclose([offset, scale], [image.mean(dtype=float), image.std(dtype=float)], rtol=1e-6)


@given(
    factor=st.sampled_from([0.2, 1.0, 70.0]),
    offset=st.sampled_from([-1e3, 0.0, 5.0]),
    share=st.sampled_from([0, 1e-3]),
)
def test_scaling_and_shifting_the_raw_values_changes_nothing(factor, offset, share):
    image = with_values(noise((20, 20, 25)), int(share * 10_000), 1e4).astype(float)
    np.testing.assert_allclose(normalised(factor * image + offset), normalised(image), rtol=1e-3, atol=1e-3)


def test_a_mask_with_few_voxels_set_keeps_them():
    """All that is not far from the mean is constant, so that mean and deviation are the plain ones."""
    image = with_values(np.zeros((50, 50, 40, 1), np.float32), 100, 7.0)
    np.testing.assert_allclose(volume_intensity(image), [[0.007, np.sqrt(0.001 * 0.999) * 7]], rtol=1e-5)
    assert normalised(image).max() == FARTHEST


def test_moments_of_drawn_in_values_are_solved_for():
    """Of ten thousand values, 3 lie below the bounds and 5 above: put where the solution says, they confirm it."""
    inside = np.random.default_rng(1).normal(4, 2, 9992)
    mean, deviation = drawn_in(0.0003, 0.0005, inside.mean(), inside.var())
    values = np.concatenate([inside, np.full(3, mean - LIMIT * deviation), np.full(5, mean + LIMIT * deviation)])
    assert (values.mean(), values.std()) == pytest.approx((mean, deviation), rel=1e-9)
    assert drawn_in(0.0, 0.0, 4.0, 9.0) == (4.0, 3.0)


@settings(max_examples=20)
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    together=st.tuples(*[st.integers(1, 5)] * 3),
    block=st.sampled_from([1, 500, 1 << 22]),
    group=st.sampled_from([1, 7, 1 << 15]),
)
def test_outliers_are_found_however_a_volume_is_read(shape, together, block, group):
    image = np.random.default_rng(1).standard_cauchy((*shape, 2)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_sums, "blocks", partial(blocks, limit=block))
        patch.setattr(value_sums, "_GROUP", group)
        found = volume_intensity(InChunks(image, together))
    np.testing.assert_allclose(found, volume_intensity(image), rtol=1e-5, atol=1e-6)


def test_others_may_measure_what_is_put_together_here():
    """In any order of their doing, as what they give comes back in that of the portions."""
    image = with_values(noise((9, 12, 12)), 1, 1e6)
    asked = []

    def elsewhere(bounds):
        boxes = portions(image)
        asked.append(len(boxes))
        found = {box: measured(image, box, bounds) for box in reversed(boxes)}
        return [found[box] for box in boxes]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_sums, "_PORTION", 400)
        here = volume_intensity(image)
        np.testing.assert_array_equal(volume_intensity(image, elsewhere), here)
    assert len(asked) == 2
    assert asked[0] > 5


def test_a_volume_without_outliers_is_read_once_and_one_with_some_twice():
    for values, times in ((noise((12, 12, 12)), 1), (with_values(noise((12, 12, 12)), 1, 1e6), 2)):
        stored = InChunks(values, (3, 3, 3))
        volume_intensity(stored)
        stored.read[0, 0, 0] -= 1  # which all values are measured from
        assert (stored.read == times).all()


# Windows

SOFT_TISSUE = Window(-160.0, 240.0, 50.0, 40.0)


def test_a_window_gives_the_same_number_the_same_value_in_every_volume():
    intensities = Intensities({1: SOFT_TISSUE})
    for seed in (0, 1):
        image = np.random.default_rng(seed).normal(1000 * seed, 300, (4, 5, 6, 2)).astype(np.float32)
        image[0, 0, :4, 1] = [-1000, 10, 50, 3000]
        found = intensities.of(image)
        np.testing.assert_allclose(found[0], volume_intensity(image)[0])
        assert found[1].tolist() == [50, 40]
        values = intensities.normalised(image[None], found[None])[0]
        assert values[0, 0, :4, 1].tolist() == [-5.25, -1, 0, 4.75]
        np.testing.assert_array_equal(values[..., 0], normalised(image)[..., 0])
        in_place = image.copy()
        intensities.normalise(in_place)
        np.testing.assert_array_equal(in_place, values)


def test_nothing_is_read_where_every_channel_has_a_window():
    stored = InChunks(noise((4, 4, 4)), (1, 1, 1))
    assert Intensities({0: SOFT_TISSUE}).of(stored).tolist() == [[50, 40]]
    assert not stored.read.any()


def test_what_another_network_measured_is_kept_beside_a_window():
    measured = np.array([[7, 2], [8, 3]], np.float32)
    assert Intensities({1: SOFT_TISSUE}).with_windows(measured).tolist() == [[7, 2], [50, 40]]
    assert measured.tolist() == [[7, 2], [8, 3]]


def test_images_that_are_normalised_already_stay_as_they_are():
    image = noise((3, 4, 5)) * 1e6
    intensities = Intensities.as_they_are(1)
    np.testing.assert_array_equal(intensities.normalised(image[None], intensities.of(image)[None])[0], image)


@pytest.mark.parametrize("wrong", [(240, -160, 0, 1), (1, 1, 0, 1), (0, 1, 0, 0), (0, float("nan"), 0, 1)])
def test_a_window_goes_from_low_to_high(wrong):
    with pytest.raises(ValueError, match="low < high"):
        Window(*wrong)
