"""Moments of features that come in parts, in a graph."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.serving.moments_graph import add_moments, no_moments


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, None, 2], tf.float32)] * 2)
def in_two_parts(first, second):
    moments = add_moments(add_moments(no_moments(2), first), second)
    return moments.voxels, moments.mean, moments.variance


@settings(max_examples=20)
@given(
    shapes=st.tuples(*[st.tuples(*[st.integers(1, 6)] * 3)] * 2),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
    spread=st.sampled_from([0.0, 1.0, 1e2]),
    seed=st.integers(0, 9),
)
def test_parts_give_the_moments_of_all_voxels(shapes, offset, spread, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(offset, spread, (*shape, 2)).astype(np.float32) for shape in shapes]
    together = np.concatenate([part.reshape(-1, 2) for part in parts]).astype(np.float64)
    voxels, mean, variance = (each.numpy() for each in in_two_parts(*parts))
    assert voxels == len(together)
    np.testing.assert_allclose(mean, together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, together.var(axis=0), rtol=1e-8)


def test_a_spread_of_one_on_an_offset_of_a_million():
    low, high = (np.full((2, 3, 4, 2), 1e6 + side, np.float32) for side in (-1, 1))
    _, mean, variance = in_two_parts(low, high)
    np.testing.assert_allclose(mean, 1e6, rtol=1e-15)
    np.testing.assert_allclose(variance, 1, rtol=1e-9)


@pytest.mark.parametrize("value", [0.1, -7e7])
def test_what_is_constant_has_no_variance_at_all(value):
    features = np.full((3, 5, 7, 2), value, np.float32)
    assert in_two_parts(features, features[:1])[2].numpy().tolist() == [0, 0]
