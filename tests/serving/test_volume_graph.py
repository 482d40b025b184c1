"""The graph segments a volume as `segment_voxels` does."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.inference.keras_predictor import KerasPredictor
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.tiles import one_tile
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.volume_graph import segment_volume_graph

VALUES = np.array([2, 250, 9], dtype=np.uint8)
CASES = [
    (Geometry("valid", 1), (18, 22, 30)),
    (Geometry("same", 1), (18, 22, 30)),
    (Geometry("valid", 2), (44, 48, 52)),
    (Geometry("same", 2), (52, 52, 56)),
]


@pytest.fixture(scope="module")
def graphs(random_network):
    made = {}
    for geometry, tile in CASES:
        network = random_network(2, filters=2, depth=geometry.depth, padding=geometry.padding)
        graph = tf.function(
            segment_volume_graph(network, geometry, tile, VALUES),
            input_signature=[tf.TensorSpec([None, None, None, 2], tf.float32)],
            autograph=False,
        )
        made[geometry] = (graph, KerasPredictor(network, geometry))
    return made


def assert_same(shape, graph, predictor):
    image = np.random.default_rng(sum(shape)).normal(500, 90, (*shape, 2)).astype(np.float32)
    probabilities = np.empty((*shape, 3), np.float32)
    plan = one_tile(shape, predictor.geometry)
    expected = VALUES[segment_voxels(image, predictor, plan, probabilities=probabilities)]
    labels = graph(image).numpy()
    assert (labels.dtype, labels.shape) == (np.uint8, shape)
    best = np.sort(probabilities, axis=-1)
    assert (best[..., -1] - best[..., -2])[labels != expected].max(initial=0) < 1e-5
    return labels


@settings(max_examples=20)
@given(st.sampled_from([geometry for geometry, _ in CASES]), st.tuples(*[st.integers(1, 24)] * 3))
def test_any_size_gives_the_labels_of_the_whole(graphs, geometry, shape):
    assert_same(shape, *graphs[geometry])


@pytest.mark.parametrize("geometry", [geometry for geometry, _ in CASES], ids=str)
def test_many_tiles_along_every_axis(graphs, geometry):
    shape = (61, 65, 60) if geometry == Geometry("same", 2) else (13, 25, 31)
    assert len(np.unique(assert_same(shape, *graphs[geometry]))) >= 2


@pytest.mark.parametrize("geometry", [geometry for geometry, _ in CASES], ids=str)
def test_a_single_voxel(graphs, geometry):
    assert_same((1, 1, 1), *graphs[geometry])


def test_the_depth_of_the_paper(random_network):
    geometry = Geometry()
    network = random_network(2, filters=2)
    graph = tf.function(
        segment_volume_graph(network, geometry, (100, 100, 100), VALUES),
        input_signature=[tf.TensorSpec([None, None, None, 2], tf.float32)],
        autograph=False,
    )
    assert_same((4, 25, 3), graph, KerasPredictor(network, geometry))
