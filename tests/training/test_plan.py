"""Decisions from the data."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.training.plan import CPU_TILE_VOXELS
from keras_unet3d.training.plan import resolve as resolve_volumes
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.settings import Settings
from keras_unet3d.training.tile_choice import usual_tile


def resolve(settings, shapes, spacing, **machine):
    """For volumes of which every voxel is labelled."""
    volumes = [
        TrainingVolume("a", np.zeros((1, 1, 1, 1), np.float32), np.zeros(shape, np.int16), spacing) for shape in shapes
    ]
    return resolve_volumes(settings, volumes, spacing, **machine)


def test_large_volumes_get_the_papers_network_on_a_gpu():
    settings, decisions = resolve(Settings(), [(120, 140, 140)], (1.2, 1, 1), has_gpu=True)
    assert (settings.network.padding, settings.network.filters, settings.tile) == ("valid", 32, (116, 132, 132))
    assert settings.batch_size == 1
    assert settings.first_tile == settings.tile
    assert settings.network.normalization == "batch"
    assert any("x=44 y=44 z=28" in str(decision) for decision in decisions)


def test_small_volumes_are_learned_whole_and_padded():
    settings, decisions = resolve(Settings(), [(36, 50, 35)], (1, 1, 1), has_gpu=False)
    assert (settings.network.padding, settings.tile, settings.batch_size) == ("same", (40, 56, 40), 2)
    assert settings.network.normalization == "instance"
    assert settings.first_tile == (32, 32, 32)
    assert {decision.setting for decision in decisions} == {
        "network.filters",
        "precision",
        "network.depth",
        "network.unpooled",
        "network.padding",
        "tile",
        "first_tile",
        "network.normalization",
        "batch_size",
        "augmentation.displacement_sigma",
        "loss.dice",
        "loss.class_weights",
        "optimizer.name",
        "optimizer.learning_rate",
        "optimizer.schedule",
        "sampling",
    }
    assert all(decision.reason for decision in decisions)


@pytest.mark.parametrize(
    ("others", "normalization"),
    [([(200, 200, 200)] * 2, "batch"), ([(200, 40, 40)] * 2, "batch"), ([(45, 40, 40)] * 2, "instance")],
)
def test_a_tile_holds_whole_volumes_where_it_holds_nearly_all_of_nearly_all(others, normalization):
    """Of two in five cases a tile of 40 voxels would hold a hundredth, or a fifth; or all but five voxels."""
    settings, _ = resolve(Settings(), [(40, 40, 40)] * 3 + others, (1, 1, 1), has_gpu=False)
    assert settings.tile == (40, 40, 40)
    assert settings.network.normalization == normalization
    assert (settings.first_tile == settings.tile) == (normalization == "batch")


def test_what_is_set_is_not_decided():
    given_settings = Settings.model_validate({"network": {"filters": 4, "padding": "same"}, "tile": (16, 16, 16)})
    settings, decisions = resolve(given_settings, [(120, 140, 140)], (1, 1, 1), has_gpu=False)
    assert (settings.network.filters, settings.tile) == (4, (16, 16, 16))
    undecided = {
        "precision",
        "network.depth",
        "network.unpooled",
        "network.normalization",
        "batch_size",
        "augmentation.displacement_sigma",
        "loss.dice",
        "loss.class_weights",
        "optimizer.name",
        "optimizer.learning_rate",
        "optimizer.schedule",
        "sampling",
    }
    assert {decision.setting for decision in decisions} == undecided


@pytest.mark.parametrize(("dice", "weights"), [(1.0, "equal"), (0.0, "balanced")])
def test_small_classes_are_raised_by_dice_or_else_by_weights(dice, weights):
    given_settings = Settings.model_validate({"loss": {"dice": dice}})
    settings, _ = resolve(given_settings, [(36, 50, 35)], (1, 1, 1), has_gpu=False)
    assert settings.loss.class_weights == weights


@pytest.mark.parametrize(
    ("shape", "depth"), [((36, 50, 35), 3), ((25, 20, 20), 3), ((8, 24, 24), 2), ((7, 12, 9), 1), ((1, 2, 1), 1)]
)
def test_small_volumes_are_pooled_as_often_as_leaves_them_some_voxels(shape, depth):
    """25 voxels are mirrored to 32, of which the third pooling leaves 4; of 24 it would leave 3."""
    settings, decisions = resolve(Settings(), [shape], (1, 1, 1), has_gpu=False)
    assert settings.network.depth == depth
    assert any(each.setting == "network.depth" for each in decisions)


def test_levels_that_are_set_not_to_pool_exist_whatever_the_volume():
    given_settings = Settings.model_validate({"network": {"unpooled": "z=3"}})
    settings, _ = resolve(given_settings, [(8, 24, 24)], (1, 1, 1), has_gpu=False)
    assert (settings.network.depth, settings.network.unpooled) == (3, (3, 0, 0))


def test_nothing_is_decided_by_the_axis_that_a_2d_network_does_not_see():
    """The paper's volume and tile, and slices that are nearer to each other than their pixels."""
    slices = Settings.model_validate({"network": {"dimensions": 2}})
    settings, decisions = resolve(slices, [(20, 244, 248)], (1, 2.5, 2.5), has_gpu=False)
    network = settings.network
    assert (network.padding, network.depth, network.unpooled) == ("valid", 3, (3, 0, 0))
    assert network.unpooled == network.geometry.unpooled
    assert network.geometry.takes(settings.tile)
    assert not any("along z" in each.reason for each in decisions)


def test_thick_slices_are_not_pooled_along_z_at_first():
    """The mouse embryos: the voxels of the second level are about as long as wide."""
    settings, decisions = resolve(Settings(), [(51, 130, 130)], (0.436, 0.2, 0.2), has_gpu=False)
    assert (settings.network.unpooled, settings.network.padding) == ((1, 0, 0), "same")
    assert settings.network.geometry.takes(settings.tile)
    (told,) = (str(each) for each in decisions if each.setting == "network.unpooled")
    assert told.startswith("network.unpooled = x=0 y=0 z=1: ")
    assert "along z voxels are 2.2 times as far apart" in told


def test_a_tile_that_is_set_is_taken_by_the_network():
    """Depth 4, unpadded: 188 = 16·12 − 4 leaves 4 when divided by 8, but 8 divides what z takes with one level less."""
    deep = {"tile": (188, 188, 188), "network": {"depth": 4, "padding": "valid"}}
    settings, decisions = resolve(Settings.model_validate(deep), [(200, 300, 300)], (2, 1, 1), has_gpu=True)
    assert settings.network.unpooled == (0, 0, 0)
    assert "the tile that is set, x=188 y=188 z=188, fits no other" in str(decisions)


def test_a_tile_of_thick_slices_has_edges_of_equal_length():
    z, y, x = usual_tile((51, 130, 130), (2.18, 1, 1), Geometry("same"), 128_000)
    assert z * 2.18 == pytest.approx(y, rel=0.35)
    assert y == x


@given(
    st.tuples(*[st.integers(1, 500)] * 3),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.sampled_from([Geometry("valid"), Geometry("same"), Geometry("same", 2), Geometry("same", 3, (3, 1, 0))]),
)
def test_the_network_takes_every_tile_that_is_chosen(shape, spacing, geometry):
    tile = usual_tile(shape, spacing, geometry, CPU_TILE_VOXELS)
    assert geometry.takes(tile)
    if geometry.padding == "same":
        assert prod(tile) <= CPU_TILE_VOXELS
        assert all(
            size <= axis.nearest_valid(length) for axis, size, length in zip(geometry.axes, tile, shape, strict=True)
        )


def test_a_tile_that_is_set_decides_the_padding():
    """116 and 132 leave 4 when divided by 8: only an unpadded network takes them, also for small volumes."""
    tile = Settings.model_validate({"tile": (116, 132, 132)})
    settings, decisions = resolve(tile, [(36, 50, 35)], (1, 1, 1), has_gpu=False)
    assert settings.network.padding == "valid"
    assert any("x=132 y=132 z=116" in str(decision) for decision in decisions)
    whole = Settings.model_validate({"tile": (64, 64, 64)})
    assert resolve(whole, [(120, 140, 140)], (1, 1, 1), has_gpu=False)[0].network.padding == "same"
    with pytest.raises(InputError, match="tile x=65: the 'same' network takes"):
        resolve(Settings.model_validate({"tile": (64, 64, 65)}), [(36, 50, 35)], (1, 1, 1), has_gpu=False)


def test_what_an_unpadded_tile_returns_is_that_of_the_tile():
    for unpooled, tile in (((0, 0, 0), (92, 132, 100)), (None, (32, 132, 44))):
        small = Settings.model_validate({"network": {"padding": "valid", "unpooled": unpooled}})
        settings, decisions = resolve(small, [(4, 50, 12)], (1, 1, 1), has_gpu=False)
        (reason,) = (decision.reason for decision in decisions if decision.setting == "tile")
        assert settings.tile == tile
        assert "x=12 y=44 z=4" in reason


def test_float16_needs_a_gpu():
    half = Settings.model_validate({"precision": "mixed_float16"})
    assert resolve(half, [(36, 50, 35)], (1, 1, 1), has_gpu=True)[0].precision == "mixed_float16"
    with pytest.raises(InputError, match="needs a GPU"):
        resolve(half, [(36, 50, 35)], (1, 1, 1), has_gpu=False)


def test_a_batch_is_shared_equally_by_devices_and_parts():
    large, spacing = [(120, 140, 140)], (1, 1, 1)
    assert resolve(Settings(), large, spacing, has_gpu=True, devices=4)[0].batch_size == 4
    parts = Settings.model_validate({"accumulate": 3})
    settings, decisions = resolve(parts, large, spacing, has_gpu=True, devices=2)
    assert settings.batch_size == 6
    assert any("each of 6" in str(decision) for decision in decisions)
    odd = Settings.model_validate({"batch_size": 3})
    with pytest.raises(InputError, match="batch_size = 3 cannot be shared equally by 2 devices in 1 part: take a mult"):
        resolve(odd, large, spacing, has_gpu=True, devices=2)
    half = Settings.model_validate({"precision": "mixed_float16"})
    with pytest.raises(InputError, match="one device only"):
        resolve(half, large, spacing, has_gpu=True, devices=2)


def test_levels_are_computed_twice_only_where_memory_forces_it():
    large, spacing = [(120, 140, 140)], (1, 1, 1)
    settings, decisions = resolve(Settings(), large, spacing, has_gpu=True, memory=8e9)
    assert settings.recompute is False
    assert "recompute" not in {each.setting for each in decisions}
    padded = Settings.model_validate({"network": {"padding": "same"}, "tile": (128, 128, 128)})
    settings, decisions = resolve(padded, large, spacing, has_gpu=True, memory=16e9)
    assert settings.recompute is True
    assert "about 22.0 GB, and 16.0 GB can be had. Computing levels twice takes 12.6 GB" in str(decisions)
    assert "--accumulate" not in str(decisions)
    assert "--accumulate" in str(resolve(padded, large, spacing, has_gpu=True, memory=8e9)[1])
    never = Settings.model_validate({"recompute": False})
    assert resolve(never, large, spacing, has_gpu=True, memory=1)[0].recompute is False


def test_a_tile_is_no_larger_than_memory_holds():
    """Of a GPU of 6 and of 3 GB; the unpadded tile goes down to the smallest of all."""
    large, spacing = [(300, 300, 300)], (1, 1, 1)
    padded = Settings.model_validate({"network": {"padding": "same"}})
    tiles = [resolve(padded, large, spacing, has_gpu=True, memory=memory)[0].tile for memory in (1e12, 6e9, 3e9)]
    assert tiles[0] == (96, 96, 104)
    assert prod(tiles[0]) > prod(tiles[1]) > prod(tiles[2])
    unpadded = [resolve(Settings(), large, spacing, has_gpu=True, memory=memory)[0].tile for memory in (2.5e9, 1e6)]
    assert prod((92, 92, 92)) < prod(unpadded[0]) < prod((116, 132, 132))
    assert unpadded[1] == (92, 92, 92)


@pytest.mark.parametrize(
    ("shape", "sigma"), [((36, 50, 35), 1.5), ((51, 130, 130), 3.6), ((64, 244, 248), 4.0), ((500, 500, 500), 4.0)]
)
def test_small_volumes_are_deformed_less(shape, sigma):
    settings, _ = resolve(Settings(), [shape], (1, 1, 1), has_gpu=False)
    assert settings.augmentation.displacement_sigma == sigma
    given_settings = Settings.model_validate({"augmentation": {"displacement_sigma": 3}})
    assert resolve(given_settings, [shape], (1, 1, 1), has_gpu=False)[0].augmentation.displacement_sigma == 3


def test_what_is_not_normalised_learns_slowly():
    plain = Settings.model_validate({"network": {"normalization": "none"}})
    settings, decisions = resolve(plain, [(36, 50, 35)], (1, 1, 1), has_gpu=False)
    assert settings.optimizer.learning_rate == pytest.approx(1e-3)
    assert "nothing is normalised" in str(decisions)


def test_what_knows_something_learns_slowly():
    fine, usual = (
        resolve(Settings.model_validate({"start": start}), [(36, 50, 35)], (1, 1, 1), has_gpu=False)
        for start in ("models/x", None)
    )
    assert fine[0].optimizer.learning_rate == pytest.approx(usual[0].optimizer.learning_rate / 5)
    assert "begins with a model" in str(fine[1])


def test_steps_are_taken_in_bfloat16_where_that_is_faster_and_exact_enough():
    for bfloat16, filters, expected in ((True, 8, "mixed_bfloat16"), (True, 7, "float32"), (False, 8, "float32")):
        given_settings = Settings.model_validate({"network": {"filters": filters}})
        settings, _ = resolve(given_settings, [(36, 50, 35)], (1, 1, 1), has_gpu=False, bfloat16=bfloat16)
        assert settings.precision == expected
