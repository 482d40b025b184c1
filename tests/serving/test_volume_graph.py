"""The graph gives the labels that the network gives for the whole mirrored volume, wherever its tiles lie."""

from dataclasses import asdict

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.serving.volume_graph import segment_volume_graph

VALUES = np.array([2, 250, 9], dtype=np.uint8)
CASES = [
    (Geometry("valid", 1), (18, 22, 30)),
    (Geometry("same", 1), (18, 22, 30)),
    (Geometry("valid", 2), (44, 48, 52)),
    (Geometry("same", 2), (52, 52, 56)),
    (Geometry("valid", 2, (1, 0, 0)), (28, 48, 44)),
    (Geometry("same", 2, (2, 0, 1)), (22, 52, 30)),
    (Geometry("valid", 2, dimensions=2), (3, 48, 44)),
]
GEOMETRIES = [geometry for geometry, _ in CASES]


def graph_of(network, geometry, tile, filters=2):
    return tf.function(
        segment_volume_graph([network], NetworkSize(geometry, filters, 2, 3), tile, VALUES),
        input_signature=[tf.TensorSpec([None, None, None, 2], tf.float32)],
        autograph=False,
    )


def image_of(shape):
    return np.random.default_rng(sum(shape)).normal(500, 90, (*shape, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def graphs(random_network, served):
    made = {}
    for geometry, tile in CASES:
        network = random_network(2, filters=2, **asdict(geometry))
        made[geometry] = (graph_of(network, geometry, tile), served(network, geometry))
    return made


def assert_same(shape, graph, expected):
    labels = graph(image_of(shape)).numpy()
    assert (labels.dtype, labels.shape) == (np.uint8, shape)
    expected.assert_labels(labels, image_of(shape), VALUES)
    return labels


@settings(max_examples=20)
@given(st.sampled_from(GEOMETRIES), st.tuples(*[st.integers(1, 24)] * 3))
def test_any_size_gives_the_labels_of_the_whole(graphs, geometry, shape):
    assert_same(shape, *graphs[geometry])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_many_tiles_along_every_axis(graphs, geometry):
    shape = {Geometry("same", 2): (61, 65, 60), Geometry("same", 2, (2, 0, 1)): (24, 65, 35)}.get(
        geometry, (13, 25, 31)
    )
    assert len(np.unique(assert_same(shape, *graphs[geometry]))) >= 2


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_single_voxel(graphs, geometry):
    assert_same((1, 1, 1), *graphs[geometry])


def test_the_depth_of_the_paper(random_network, served):
    network = random_network(2, filters=2)
    graph = graph_of(network, Geometry(), (100, 100, 100))
    assert_same((4, 25, 3), graph, served(network, Geometry()))


@pytest.fixture(
    scope="module",
    params=[
        ("instance", Geometry("valid", 1, (1, 0, 0)), [(14, 22, 30), (17, 18, 18)]),
        ("group", Geometry("same", 1), [(18, 22, 30), (20, 18, 18)]),
        pytest.param(("group", Geometry("valid", 2), [(44, 48, 52), (52, 44, 44)]), marks=pytest.mark.slow),
    ],
    ids=["instance", "padded, group", "deeper, group"],
)
def of_the_volume(request, random_network, served):
    """Two graphs of different tiles with normalisations by the statistics of the volume, and their network."""
    normalization, geometry, tiles = request.param
    network = random_network(2, filters=16, normalization=normalization, seed=4, **asdict(geometry))
    expected = served(network, geometry)
    log_probabilities = np.log(expected.volume(image_of((5, 9, 18))))
    bias = network.get_layer("logits").bias
    bias.assign(bias - log_probabilities.mean(axis=(0, 1, 2)).astype(np.float32))  # every class has its share
    return [graph_of(network, geometry, tile, filters=16) for tile in tiles], expected


@pytest.mark.parametrize("shape", [(5, 9, 18), (5, 6, 7)], ids=str)
def test_statistics_of_the_volume_do_not_depend_on_its_tiles(of_the_volume, shape):
    graphs, expected = of_the_volume
    before = [variable.numpy() for variable in expected.network.variables]
    for graph in graphs:
        assert len(np.unique(assert_same(shape, graph, expected))) >= 2
    for variable, value in zip(expected.network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_an_offset_of_the_features_does_not_change_their_statistics(random_network, served):
    """Biases, which a normalisation takes out again, a hundred times as large as what varies."""
    geometry = Geometry("valid", 1)
    network = random_network(2, filters=2, depth=1, normalization="instance", seed=5)
    for layer in network.layers:
        if layer.name.endswith("_conv"):
            layer.bias.assign(layer.bias + 500.0)
    assert_same((5, 9, 18), graph_of(network, geometry, (18, 22, 30)), served(network, geometry))
