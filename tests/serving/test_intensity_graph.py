"""The graph computes offset and scale as NumPy does."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.serving.intensity_graph import volume_intensity_graph
from keras_unet3d.volumes.intensity import volume_intensity


@pytest.fixture(scope="module")
def in_graph():
    return tf.function(
        volume_intensity_graph, input_signature=[tf.TensorSpec([None, None, None, 2], tf.float32)], autograph=False
    )


@settings(max_examples=30)
@given(
    shape=st.tuples(*[st.integers(1, 8)] * 3),
    centre=st.sampled_from([0.0, 1.0, 1e6, -3e4, 32768.0]),
    spread=st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
    seed=st.integers(0, 9),
)
def test_graph_and_numpy_agree(in_graph, shape, centre, spread, seed):
    image = np.random.default_rng(seed).normal(centre, spread, (*shape, 2)).astype(np.float32)
    np.testing.assert_allclose(in_graph(image).numpy(), volume_intensity(image), rtol=1e-5, atol=1e-7)


def test_one_in_a_million(in_graph):
    image = np.full((4, 4, 4, 2), 1e6 - 1, dtype=np.float32)
    image[::2] += 2
    assert in_graph(image).numpy().tolist() == [[1e6, 1], [1e6, 1]]


def test_the_range_of_uint16(in_graph):
    image = np.random.default_rng(0).integers(0, 65536, (20, 30, 40, 2), dtype=np.uint16)
    np.testing.assert_allclose(in_graph(image.astype(np.float32)).numpy(), volume_intensity(image), rtol=1e-6)


def test_a_constant_channel_has_scale_one(in_graph):
    image = np.full((3, 1, 5, 2), 0.1, dtype=np.float32)
    image[..., 1] = 0
    assert in_graph(image).numpy().tolist() == [[np.float32(0.1), 1], [0, 1]]
