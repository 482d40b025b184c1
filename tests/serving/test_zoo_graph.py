"""Tiles as other tools lay them: mirrored by a halo, cropped by it, the next where the last was cropped."""

from itertools import product

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_unet3d.serving.saved_model import load_model  # noqa: E402
from keras_unet3d.serving.zoo_axes import zoo_axes  # noqa: E402
from keras_unet3d.serving.zoo_graph import zoo_graph  # noqa: E402
from keras_unet3d.volumes.box import Box, read_mirrored  # noqa: E402


@pytest.fixture
def ask(exported, served):
    """Ask the graph of a model about part of a volume, as a tool does."""

    def asked(name):
        model = load_model(exported[name].path)
        axes = zoo_axes(model.description)
        graph = zoo_graph(model.networks, axes, model.description.intensities)

        def cropped(normalised, kept):
            halos = [axis.halo for axis in axes]
            found = graph(tf.constant(read_mirrored(normalised, kept.grown(halos))[None])).numpy()[0]
            return found[Box.at(halos, kept.shape).slices]

        return cropped, axes, served(exported[name])

    return asked


def _normalised(image, reference):
    intensity = reference.intensities.of(image)
    return (image - intensity[:, 0]) / intensity[:, 1]


def test_tiles_of_an_unpadded_network_give_what_the_whole_volume_gives(ask, noise):
    cropped, axes, reference = ask("moving")
    image = noise(12, 14, 10)
    normalised, expected = _normalised(image, reference), reference.volume(image)
    np.testing.assert_allclose(cropped(normalised, Box((0, 0, 0), (12, 14, 10))), expected, atol=1e-5)
    steps = [range(0, length, 2 * axis.geometry.multiple) for length, axis in zip((12, 14, 10), axes, strict=True)]
    for start in product(*steps):
        box = Box.at(start, [2 * axis.geometry.multiple for axis in axes]).clipped(image.shape[:3])
        np.testing.assert_allclose(cropped(normalised, box), expected[box.slices], atol=1e-5)


def test_tiles_of_a_padded_network_agree_with_one_another(ask, noise):
    cropped, axes, reference = ask("padded")
    image = noise(*(4 * axis.geometry.multiple for axis in axes))
    normalised = _normalised(image, reference)
    whole = Box((0, 0, 0), image.shape[:3])
    expected = cropped(normalised, whole)
    halves = [(0, length // 2) for length in image.shape[:3]]
    for start in product(*halves):
        box = Box.at(start, [length // 2 for length in image.shape[:3]])
        np.testing.assert_allclose(cropped(normalised, box), expected[box.slices], atol=1e-5)


@pytest.mark.parametrize(("name", "shape"), [("current", (12, 14, 10)), ("group", (12, 14, 10)), ("group", (7, 9, 5))])
def test_a_volume_in_one_piece_gives_what_we_give(name, shape, ask, noise):
    cropped, _, reference = ask(name)
    image = noise(*shape)
    found = cropped(_normalised(image, reference), Box((0, 0, 0), shape))
    expected = reference.volume(image)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_tile_comes_out_as_large_as_it_went_in_whatever_its_size(exported):
    for name, one in exported.items():
        model = load_model(one.path)
        graph = zoo_graph(model.networks, zoo_axes(model.description), model.description.intensities)
        for shape in ((1, 1, 1), (3, 30, 17)):
            found = graph(tf.zeros([2, *shape, 2])).numpy()
            assert found.shape == (2, *shape, 3), name
            sums = found.sum(axis=-1)
            assert (np.isclose(sums, 1, atol=1e-5) | (sums == 0)).all()


def test_what_lies_beyond_a_window_is_drawn_in(exported, describe):
    model = load_model(exported["padded"].path)
    windows = {"lectin": {"low": 0, "high": 10, "offset": 5, "scale": 5}}
    rule = describe(intensity={"windows": windows}).intensities
    graph = zoo_graph(model.networks, zoo_axes(model.description), rule)
    within, beyond = np.zeros((1, 8, 8, 8, 2), np.float32), np.zeros((1, 8, 8, 8, 2), np.float32)
    within[0, 4, 4, 4] = 1, 30
    beyond[0, 4, 4, 4] = 7, 31
    np.testing.assert_array_equal(graph(tf.constant(within)), graph(tf.constant(beyond)))
