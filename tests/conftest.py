"""Quiet TensorFlow, and few examples for property tests unless asked for more."""

import os
import signal

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it, and so do we

settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def random_network():
    """Build a small network of any spatial size whose every variable is random, moving statistics too."""
    from keras_unet3d.network.unet import build_unet3d

    def build(channels=1, classes=3, *, seed=0, **options):
        model = build_unet3d((None, None, None, channels), classes, **options)
        rng = np.random.default_rng(seed)
        for variable in model.variables:
            if variable.path.endswith(("gamma", "beta", "moving_mean", "moving_variance", "bias")):
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
            else:
                fan_in = np.prod(variable.shape[:-1])
                variable.assign(rng.normal(0, np.sqrt(2 / fan_in), variable.shape))
        return model

    return build
