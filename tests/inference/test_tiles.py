"""Tile plans."""

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.inference.tiles import one_tile, plan_tiles
from keras_unet3d.network.sizes import Geometry

geometries = st.builds(Geometry, padding=st.sampled_from(["valid", "same"]), depth=st.integers(1, 3))
shapes = st.tuples(*[st.integers(1, 60)] * 3)


def test_one_tile_where_the_volume_fits():
    plan = plan_tiles((64, 244, 248), Geometry(), 340 * 332 * 156)
    assert (plan.tile, len(plan), plan.work) == ((156, 332, 340), 1, 1)
    assert str(plan) == "1 tile of x=340 y=332 z=156 for a volume of x=248 y=244 z=64"


def test_one_voxel_less_and_an_axis_is_split():
    plan = plan_tiles((64, 244, 248), Geometry(), 340 * 332 * 156 - 1)
    assert len(plan) == 2
    assert plan.tile == (156, 212, 340)  # y: 120 + 124 of the 124 that a tile returns; x would take 2 × 220
    assert plan.work == pytest.approx(2 * 212 / 332)
    assert str(plan).startswith("2 tiles (x=1 y=2 z=1) of x=340 y=212 z=156, every x=248 y=120 z=64, ")
    assert str(plan).endswith(": 1.28 times the voxels of a single tile")


def test_the_smallest_tile_is_used_where_the_limit_allows_none_and_the_plan_says_so():
    plan = plan_tiles((64, 244, 248), Geometry(), 1000)
    assert plan.tile == (100, 100, 100)
    assert plan.exceeds_limit
    assert "1000000 voxels, more than the 1000" in str(plan)
    assert not plan_tiles((64, 244, 248), Geometry(), 10**6).exceeds_limit


def test_no_other_tiles_are_less_work():
    shape, geometry, limit = (30, 50, 41), Geometry("valid", 2), 60**3
    by_axis = [[(-(-length // stride), stride + geometry.margin) for stride in range(4, 57, 4)] for length in shape]
    least = min(
        prod(count * size for count, size in axes)
        for axes in product(*by_axis)
        if prod(size for _, size in axes) <= limit
    )
    plan = plan_tiles(shape, geometry, limit)
    assert len(plan) * prod(plan.tile) == least


def test_a_volume_of_thousands_of_voxels_an_axis_is_planned_at_once():
    plan = plan_tiles((4000, 10000, 10000), Geometry(), 10**7)
    assert 0.8e7 < prod(plan.tile) <= 1e7


@settings(max_examples=100)
@given(geometries, shapes, st.integers(10_000, 1_000_000))
def test_a_plan_writes_every_voxel_once_and_keeps_to_its_limit(geometry, shape, limit):
    plan = plan_tiles(shape, geometry, limit)
    written = np.zeros(shape, dtype=int)
    first = next(iter(plan)).read.start
    for tile in plan:
        written[tile.write.slices] += 1
        assert tile.read.shape == plan.tile
        assert tile.crop.shape == tile.write.shape
        assert all((a - b) % geometry.multiple == 0 for a, b in zip(tile.read.start, first, strict=True))
    assert (written == 1).all()
    assert len(list(plan)) == len(plan)
    assert prod(plan.tile) <= limit or plan.exceeds_limit


@given(geometries, shapes)
def test_tiles_come_in_the_order_of_the_array(geometry, shape):
    starts = [tile.write.start for tile in plan_tiles(shape, geometry, 1)]
    assert starts == sorted(starts)


@given(geometries, shapes)
def test_the_whole_in_one_tile_is_the_floor_of_the_work(geometry, shape):
    plan = one_tile(shape, geometry)
    assert (len(plan), plan.work, plan.exceeds_limit) == (1, 1, False)
    assert plan.tile == tuple(geometry.input_length(length) for length in shape)
    assert plan_tiles(shape, geometry, prod(plan.tile)).axes == plan.axes
