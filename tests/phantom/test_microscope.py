import numpy as np
import pytest

from keras_unet3d.phantom.kidney import SPACING
from keras_unet3d.phantom.microscope import BLACK, BLUR, WHITE, record


def recorded(stain, seed=0):
    return record(np.asarray(stain, np.float32), SPACING, np.random.default_rng(seed))


def test_a_point_blurs_most_along_z():
    stain = np.zeros((31, 31, 31, 1))
    stain[15, 15, 15] = 2000
    image = np.mean([np.minimum(recorded(stain, seed), WHITE) for seed in range(8)], axis=0)[..., 0] - BLACK - 60
    profiles = image[:, 15, 15], image[15, 15, :]
    widths = [
        np.sum(profile > 0.3 * profile.max()) * edge for profile, edge in zip(profiles, (2.04, 1.76), strict=True)
    ]
    assert widths[0] > 1.5 * widths[1]
    assert BLUR[0] > 2 * BLUR[1] == 2 * BLUR[2]


def test_light_fades_with_depth():
    image = recorded(np.full((60, 40, 40, 3), 0.5)) - BLACK
    for channel in np.moveaxis(image, -1, 0):
        level = channel.mean(axis=(1, 2))
        assert level[-1] < 0.65 * level[0]
        assert np.polyfit(np.arange(60), level, 1)[0] < 0


def test_brighter_places_are_noisier_as_photons_are():
    image = recorded(np.stack([np.full((1, 200, 200), level) for level in (0.0, 0.25, 1.0)], axis=-1))
    noise = image.std(axis=(0, 1, 2))
    assert noise[0] < noise[1] < noise[2]


def test_a_dark_specimen_stays_near_black():
    image = recorded(np.zeros((4, 64, 64, 1)))
    assert BLACK < image.mean() < BLACK + 150


def test_grey_values_end_at_white():
    assert recorded(np.full((2, 8, 8, 1), 50.0)).max() == WHITE


def test_recordings_differ_in_gain():
    stain = np.full((4, 32, 32, 3), 0.5)
    levels = np.array([recorded(stain, seed).mean(axis=(0, 1, 2)) for seed in range(12)])
    assert (levels.std(axis=0) / levels.mean(axis=0) > 0.08).all()
    assert levels == pytest.approx(np.array([recorded(stain, seed).mean(axis=(0, 1, 2)) for seed in range(12)]))
