"""The graph computes offset and scale as NumPy does."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.serving.intensity_graph import intensity_graph, volume_intensity_graph
from keras_unet3d.volumes.intensity import Intensities, Window, volume_intensity


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


@settings(max_examples=30)
@given(
    shape=st.tuples(*[st.integers(6, 14)] * 3),
    outliers=st.lists(st.sampled_from([-1e6, -300.0, 40.0, 1e3, 1e9]), max_size=6),
    seed=st.integers(0, 9),
)
def test_outliers_are_drawn_in_as_numpy_draws_them_in(in_graph, shape, outliers, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(5, 1, (*shape, 2)).astype(np.float32)
    image[..., 0].flat[rng.permutation(image.size // 2)[: len(outliers)]] = outliers
    np.testing.assert_allclose(in_graph(image).numpy(), volume_intensity(image), rtol=1e-5, atol=1e-6)


def test_heavy_tails_take_the_graph_as_many_rounds(in_graph):
    image = np.random.default_rng(0).standard_cauchy((20, 20, 20, 2)).astype(np.float32)
    np.testing.assert_allclose(in_graph(image).numpy(), volume_intensity(image), rtol=1e-5)


def test_a_mask_with_few_voxels_set(in_graph):
    image = np.zeros((20, 20, 20, 2), np.float32)
    image[3, 4, 5:9, 0] = 7
    np.testing.assert_allclose(in_graph(image).numpy(), volume_intensity(image), rtol=1e-6)


@pytest.mark.parametrize("channels", [(1,), (0, 1)])
def test_windows_stand_in_their_place(channels):
    intensities = Intensities({number: Window(-160.0, 240.0, 50.0, 40.0) for number in channels})
    image = np.random.default_rng(0).normal(0, 1, (3, 4, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(
        intensity_graph(tf.constant(image), intensities).numpy(), intensities.of(image), rtol=1e-6
    )
