"""Decisions from the data."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.training.plan import CPU_TILE_VOXELS, choose_tile, resolve, unusual_spacing
from keras_unet3d.training.settings import Settings


def test_large_volumes_get_the_papers_network_on_a_gpu():
    settings, decisions = resolve(Settings(), [(200, 400, 400)], (2, 1, 1), has_gpu=True)
    assert (settings.network.padding, settings.network.filters, settings.tile) == ("valid", 32, (116, 132, 132))
    assert settings.batch_size == 1
    assert any("x=44 y=44 z=28" in str(decision) for decision in decisions)


def test_small_volumes_are_learned_whole_and_padded():
    settings, decisions = resolve(Settings(), [(36, 50, 35)], (1, 1, 1), has_gpu=False)
    assert (settings.network.padding, settings.tile, settings.batch_size) == ("same", (40, 56, 40), 2)
    assert {decision.setting for decision in decisions} == {
        "network.filters",
        "network.padding",
        "tile",
        "batch_size",
        "optimizer.learning_rate",
    }
    assert all(decision.reason for decision in decisions)


def test_what_is_set_is_not_decided():
    given_settings = Settings.model_validate({"network": {"filters": 4, "padding": "same"}, "tile": (16, 16, 16)})
    settings, decisions = resolve(given_settings, [(300, 300, 300)], (1, 1, 1), has_gpu=False)
    assert (settings.network.filters, settings.tile) == (4, (16, 16, 16))
    assert {decision.setting for decision in decisions} == {"batch_size", "optimizer.learning_rate"}


def test_a_tile_of_thick_slices_has_edges_of_equal_length():
    z, y, x = choose_tile((51, 130, 130), (2.18, 1, 1), Geometry("same"), 128_000)
    assert z * 2.18 == pytest.approx(y, rel=0.35)
    assert y == x


@given(
    st.tuples(*[st.integers(1, 500)] * 3),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.sampled_from([Geometry("valid"), Geometry("same"), Geometry("same", 2)]),
)
def test_the_network_takes_every_tile_that_is_chosen(shape, spacing, geometry):
    tile = choose_tile(shape, spacing, geometry, CPU_TILE_VOXELS)
    assert all(geometry.is_valid(size) for size in tile)
    if geometry.padding == "same":
        assert prod(tile) <= CPU_TILE_VOXELS
        assert all(size <= geometry.nearest_valid(length) for size, length in zip(tile, shape, strict=True))


def test_a_spacing_far_from_what_was_trained_on_is_named():
    assert unusual_spacing((2, 1, 1), (2.18, 1, 1)) is None
    text = unusual_spacing((5, 1, 1), (2.0, 1, 1))
    assert text is not None
    assert "x=1 y=1 z=5" in text
    assert "2.5 times along z" in text
