"""Whether bfloat16 gives the labels of float32."""

import numpy as np
import pytest

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.inference import agreement
from keras_unet3d.inference.agreement import precision_agreement
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize

SIZE = NetworkSize(Geometry("valid", 1), filters=4, channels=1, classes=3)


@pytest.fixture(autouse=True)
def able(monkeypatch):
    monkeypatch.setattr(agreement, "has_bfloat16", lambda _: True)


def volume(shape=(20, 30, 25)):
    image = np.random.default_rng(1).normal(0, 1, (*shape, 1)).astype(np.float32)
    class_index = np.full(shape, UNLABELED, np.int16)
    class_index[5] = 1
    return image, class_index


@pytest.mark.parametrize("normalization", [None, "batch", "instance"])
def test_a_network_that_is_sure_agrees_and_a_class_that_is_never_given_is_none(normalization, random_network):
    network = random_network(1, filters=4, depth=1, normalization=normalization)
    logits = network.get_layer("logits")
    logits.kernel.assign(0 * logits.kernel)
    logits.bias.assign([0.0, 5.0, -5.0])
    found = precision_agreement([network], SIZE, [volume()], ["a", "b", "c"])
    assert found == {"a": None, "b": 1.0, "c": None}


def test_a_network_between_two_classes_does_not_agree(random_network):
    network = random_network(1, filters=4, depth=1, normalization="batch")
    logits = network.get_layer("logits")
    kernel = np.random.default_rng(0).normal(0, 1e-3, logits.kernel.shape)
    logits.kernel.assign(kernel)
    logits.bias.assign([3.0, 3.0, 3.0])  # of which bfloat16 keeps 8 bits
    found = precision_agreement([network], SIZE, [volume(), volume((6, 6, 6))], ["a", "b", "c"])
    assert min(dice for dice in found.values() if dice is not None) < 0.999


def test_a_part_of_a_large_volume_lies_around_the_class_and_costs_what_it_may():
    _, class_index = volume((60, 200, 300))
    class_index[40, 150, 280] = 2
    box = agreement._part(class_index, 2, SIZE, 2e8)
    assert box.start <= (40, 150, 280) < box.stop
    assert box.clipped(class_index.shape) == box
    z, y, x = (axis.input_length(length) for axis, length in zip(SIZE.geometry.axes, box.shape, strict=True))
    assert SIZE.flop((z, y, x)) <= 2e8
    assert agreement._part(class_index[:4, :4, :4], 0, SIZE, 1e12).shape == (4, 4, 4)


def test_without_a_device_for_it_nothing_is_said(monkeypatch):
    monkeypatch.setattr(agreement, "has_bfloat16", lambda _: False)
    assert precision_agreement([], SIZE, [volume()], ["a", "b", "c"]) is None


def test_of_several_networks_it_is_their_mean_that_agrees(random_network):
    """Each alone is between two classes; together they are sure."""
    networks = [random_network(1, filters=4, depth=1, normalization="batch", seed=seed) for seed in (0, 1)]
    for network, bias in zip(networks, ([3.0, 3.0, -9.0], [9.0, -9.0, -9.0]), strict=True):
        logits = network.get_layer("logits")
        logits.kernel.assign(np.random.default_rng(0).normal(0, 1e-3, logits.kernel.shape))
        logits.bias.assign(bias)
    assert precision_agreement(networks, SIZE, [volume()], ["a", "b", "c"]) == {"a": 1.0, "b": None, "c": None}
