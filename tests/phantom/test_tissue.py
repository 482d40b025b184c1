import numpy as np
import pytest

from keras_unet3d.phantom.tissue import BACKGROUND, INSIDE, TUBULE, specimen
from keras_unet3d.volumes.volume import Grid


@pytest.fixture(scope="module")
def stained():
    return specimen(Grid((32, 80, 80), (2.04, 1.76, 1.76)), np.random.default_rng(4))


def test_concentrations_are_finite_and_about_one(stained):
    assert stained.stain.dtype == np.float32
    assert np.isfinite(stained.stain).all()
    assert stained.stain.min() >= 0
    assert (np.percentile(stained.stain, 99.9, axis=(0, 1, 2)) < 2.5).all()


def test_the_lumen_is_dark_but_for_what_swims_in_it(stained):
    lumen = stained.stain[stained.truth == INSIDE]
    assert (np.median(lumen, axis=0) < 0.05).all()
    assert (lumen.max(axis=0) > 0.1).all()


def test_the_background_holds_look_alikes_of_wall_and_lumen(stained):
    lectin = stained.stain[..., 0]
    wall = np.median(lectin[stained.truth == TUBULE])
    around = stained.truth == BACKGROUND
    bright, dark = np.sum(lectin[around] > wall), np.sum(stained.stain[around].max(axis=-1) < 0.1)
    assert bright > 0.3 * np.sum(stained.truth == TUBULE)
    assert dark > 0.3 * np.sum(stained.truth == INSIDE)
