"""Quiet TensorFlow, and few examples for property tests unless asked for more."""

import os

from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("quick")
