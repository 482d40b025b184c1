"""A training begins with what a model knows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.network.folding import folded
from keras_unet3d.network.statistics import with_current_statistics
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.serving.description import read_description
from keras_unet3d.training.normalization import for_training
from keras_unet3d.training.settings import read_settings
from keras_unet3d.training.start import Start, begin_with, with_network_of_start

PHANTOM = Path(__file__).parents[2] / "models" / "kidney-phantom"
UNPADDED, PADDED = {"padding": "valid", "depth": 1}, {"padding": "same", "depth": 2}


def images(size=28, channels=2):
    return np.random.default_rng(5).normal(size=(1, size, size, size, channels)).astype(np.float32)


def to_learn(channels=2, classes=3, **options):
    return for_training(build_unet3d((None, None, None, channels), classes, filters=2, seed=9, **options))


@pytest.mark.parametrize(
    ("options", "served"),
    [
        ({**UNPADDED, "normalization": "batch"}, folded),
        ({**PADDED, "normalization": "batch"}, folded),
        ({**UNPADDED, "normalization": "batch"}, with_current_statistics),
        ({**PADDED, "normalization": "instance"}, lambda network: network),
        ({**PADDED, "normalization": None}, lambda network: network),
    ],
)
def test_it_begins_with_the_outputs_of_the_model(random_network, options, served):
    """Where statistics are frozen, normalisation is undone on the very images that it was looked at."""
    source = served(random_network(2, filters=2, **options))
    network = to_learn(**options)
    begin_with(Start(source, (0, 1), (0, 1, 2)), network, images(24 if options["padding"] == "same" else 28))
    tiles = images(24 if options["padding"] == "same" else 28)
    expected = np.asarray(source(tiles))
    np.testing.assert_allclose(network(tiles, training=True), expected, atol=2e-3 * np.abs(expected).max())


def test_new_channels_and_classes_keep_their_own_weights(random_network):
    source = folded(random_network(2, filters=2, **UNPADDED))
    network = to_learn(channels=3, classes=2, **UNPADDED)
    before = {name: network.get_layer(name).get_weights() for name in ("down0a_conv", "logits")}
    begin_with(Start(source, (1, None, 0), (2, None)), network, images(channels=3))
    first, last = (network.get_layer(name).get_weights() for name in ("down0a_conv", "logits"))
    theirs_first, theirs_last = (source.get_layer(name).get_weights() for name in ("down0a_conv", "logits"))
    np.testing.assert_array_equal(first[0][..., [0, 2], :], theirs_first[0][..., [1, 0], :])
    np.testing.assert_array_equal(first[0][..., 1, :], before["down0a_conv"][0][..., 1, :])
    for ours, theirs, fresh in zip(last, theirs_last, before["logits"], strict=True):
        np.testing.assert_array_equal(ours[..., 0], theirs[..., 2])
        np.testing.assert_array_equal(ours[..., 1], fresh[..., 1])


def test_the_network_is_that_of_the_model():
    known = read_description(PHANTOM / "1")
    settings = with_network_of_start(read_settings(None, {"start": str(PHANTOM)}))
    assert settings.start == str(PHANTOM / "1")
    network = settings.network
    assert (network.filters, network.padding) == (known.filters, known.geometry.padding)
    assert network.unpooled == (0, 0, 0)
    assert network.normalization == (known.normalization or "none")
    same = read_settings(None, {"start": str(PHANTOM), "network.filters": known.filters})
    assert with_network_of_start(same).network == network
    with pytest.raises(InputError, match=r"network.filters = 99, but the model to begin with, .* has \d+\. Leave"):
        with_network_of_start(read_settings(None, {"start": str(PHANTOM), "network.filters": 99}))
    with pytest.raises(InputError, match=r"network.unpooled = 'x=0 y=0 z=1', but .* has 'x=0 y=0 z=0'"):
        with_network_of_start(read_settings(None, {"start": str(PHANTOM), "network.unpooled": "z=1"}))
    assert with_network_of_start(read_settings(None)) == read_settings(None)
    with pytest.raises(InputError):
        with_network_of_start(read_settings(None, {"start": str(PHANTOM / "none")}))


def test_a_model_of_several_networks_is_no_beginning(tmp_path):
    folder = shutil.copytree(PHANTOM / "1", tmp_path / "1")
    file = folder / "assets.extra" / "unet3d.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"members": 5}), encoding="utf-8")
    with pytest.raises(InputError, match="is the mean of 5 networks; training begins with the weights of one"):
        with_network_of_start(read_settings(None, {"start": str(folder)}))
