"""Tiny trainings: a network of two filters on volumes of a few thousand voxels."""

import subprocess
import sys

import numpy as np
import pytest

from keras_unet3d.training.resolved import resolved as as_resolved
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.settings import read_settings


def tiny_settings(changes=None):
    """Resolved settings; dotted names change them."""
    tiny = {
        "steps": 6,
        "tile": "x=8 y=8 z=8",
        "batch_size": 1,
        "precision": "float32",
        "recompute": False,
        "sampling": "classes",
        "network.filters": 2,
        "network.depth": 1,
        "network.padding": "same",
        "network.unpooled": "x=0 y=0 z=0",
        "network.normalization": "batch",
        "loss.dice": 1.0,
        "loss.class_weights": "equal",
        "optimizer.name": "adam",
        "optimizer.schedule": "polynomial",
        "optimizer.learning_rate": 0.01,
    }
    settings = read_settings(None, tiny | (changes or {}))
    return as_resolved(settings.model_copy(update={"first_tile": settings.first_tile or settings.tile}))


@pytest.fixture
def resolved():
    return tiny_settings


@pytest.fixture
def unchanged():
    """Augmentation that changes nothing."""
    return {
        "augmentation.displacement_sigma": 0.0,
        "augmentation.rotation_degrees": (0.0, 0.0, 0.0),
        "augmentation.scaling": (1.0, 1.0),
        "augmentation.gain": (1.0, 1.0),
        "augmentation.offset": 0.0,
        "augmentation.gamma": (1.0, 1.0),
        "augmentation.noise": 0.0,
    }


def tiny_ball(size=16, seed=0):
    """A volume in which class 1 is a bright ball in dark class 0, labelled in every third slice of z."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:size, :size, :size]
    centre = size / 2 + rng.uniform(-2, 2, 3)
    ball = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < (size / 3) ** 2
    image = 2.0 * ball + 0.2 * rng.standard_normal(ball.shape)
    image = ((image - image.mean()) / image.std()).astype(np.float32)[..., None]
    class_index = np.full(ball.shape, -1, np.int16)
    class_index[::3] = ball[::3]
    return TrainingVolume(f"ball {seed}", image, class_index, (1.0, 1.0, 1.0))


@pytest.fixture
def bright_ball():
    return tiny_ball


@pytest.fixture
def run_alone():
    """Run a script in a process of its own, where TensorFlow has not started; returns what it printed."""

    def run(script, *arguments, timeout=120):
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run
