"""The arithmetic of work and memory, against the paper's figures, Keras, and the network itself."""

from dataclasses import asdict

import keras
import numpy as np
import pytest

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.network.work import NetworkSize

PAPER = NetworkSize(Geometry(), filters=32, channels=3, classes=3)


def test_the_paper_s_tile_takes_half_a_tera_operation():
    assert PAPER.flop((116, 132, 132)) == pytest.approx(0.5335e12, rel=1e-3)
    assert PAPER.flop((116, 132, 132)) / (44 * 44 * 28) == pytest.approx(9.84e6, rel=1e-3)


def test_weights_are_those_of_the_paper_s_network_without_its_biases():
    biases = 2339  # 19 069 955 parameters, of which every convolution but the transposed ones has some
    assert PAPER.weights == 19_069_955 - biases


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("depth", "unpooled", "dimensions"),
    [(1, (0, 0, 0), 3), (2, (0, 0, 0), 3), (3, (0, 0, 0), 3), (2, (1, 0, 2), 3), (3, (0, 3, 1), 3), (2, (0, 0, 1), 2)],
)
def test_layers_have_the_sizes_of_the_network(padding, depth, unpooled, dimensions):
    geometry = Geometry(padding, depth, unpooled, dimensions)
    tile = tuple(axis.minimum + longer * axis.multiple for longer, axis in enumerate(geometry.axes))
    model = build_unet3d((*tile, 2), 3, filters=4, normalization=None, **asdict(geometry))
    convolutions = [
        each for each in model.layers if isinstance(each, keras.layers.Conv3D | keras.layers.Conv3DTranspose)
    ]
    layers = list(NetworkSize(geometry, filters=4, channels=2, classes=3).layers(tile))
    assert len(layers) == len(convolutions)
    for layer, convolution in zip(layers, convolutions, strict=True):
        assert (*layer.read, layer.inputs) == convolution.input.shape[1:]
        assert (*layer.written, layer.outputs) == convolution.output.shape[1:]
        assert layer.weights == int(np.prod(convolution.kernel.shape))
    whole = NetworkSize(geometry, filters=4, channels=2, classes=3)
    assert whole.weights == sum(layer.weights for layer in layers)


def test_what_a_stream_holds_does_not_grow_with_its_length_and_grows_with_the_slab():
    for size in (PAPER, NetworkSize(Geometry("same"), 16, 1, 2), NetworkSize(Geometry("same", 3, (2, 0, 0)), 16, 1, 2)):
        held = [sum(size.held_streamed((planes, 200, 200), 8)) for planes in (100, 1000)]
        assert held[0] == held[1]
        assert sum(size.held_streamed((100, 200, 200), 16)) > held[0]
        assert sum(size.held_streamed((204, 204, 204), 8)) < size.held_whole((204, 204, 204)) / 5


def test_a_step_holds_what_its_convolutions_return_and_what_they_read():
    """Depth 1, 1 filter, 1 channel, 8³ voxels: by hand."""
    size, tile = NetworkSize(Geometry("same", 1), 1, 1, 2), (8, 8, 8)
    fine, coarse = 8**3, 4**3
    down, bottom, up = (1 + 1 + 2) * fine, (2 + 2 + 4) * coarse, (6 + 2 + 2) * fine
    assert size.held_training(tile, normalized=False, recompute=False) == down + bottom + up + 2 * fine
    twice = (2 * (1 + 2) + 1) * fine + (2 * (2 + 4) + 2) * coarse + (2 * (2 + 2) + 6) * fine
    assert size.held_training(tile, normalized=True, recompute=False) == twice + 2 * fine
    # what passes between levels, the two convolutions of the last, and its last ReLU with the gradient
    between = (1 + 6) * fine + 2 * coarse
    assert size.held_training(tile, normalized=True, recompute=True) == between + (2 + 2) * fine + 2 * 2 * fine
