"""Tile plans."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.inference.axis import axis_tiling, shortest_of_many
from keras_unet3d.inference.tiles import TilePlan, all_tilings, one_tile
from keras_unet3d.network.sizes import AxisGeometry, Geometry

geometries = st.builds(
    lambda padding, depth, unpooled: Geometry(padding, depth, tuple(min(levels, depth) for levels in unpooled)),
    st.sampled_from(["valid", "same"]),
    st.integers(1, 3),
    st.tuples(*[st.integers(0, 3)] * 3),
)
shapes = st.tuples(*[st.integers(1, 60)] * 3)


def plan_of(shape, geometry, longer=(0, 0, 0)):
    lengths = [shortest_of_many(axis) + more * axis.multiple for axis, more in zip(geometry.axes, longer, strict=True)]
    return TilePlan(tuple(map(axis_tiling, shape, lengths, geometry.axes)), geometry.coarsest)


def test_a_plan_says_what_it_is():
    assert str(one_tile((64, 244, 248), Geometry())) == "1 tile of x=340 y=332 z=156, for a volume of x=248 y=244 z=64"
    several = TilePlan((*one_tile((64, 244, 248), Geometry()).axes[:2], axis_tiling(248, 220, AxisGeometry())), 16)
    assert str(several) == (
        "2 tiles (x=2 y=1 z=1) of x=220 y=332 z=156, 16 planes at a time, for a volume of x=248 y=244 z=64"
    )


@settings(max_examples=100)
@given(geometries, shapes, st.tuples(*[st.integers(0, 5)] * 3))
def test_a_plan_writes_every_voxel_once(geometry, shape, longer):
    plan = plan_of(shape, geometry, longer)
    written = np.zeros(shape, dtype=int)
    assert plan.geometry == geometry
    first = plan[0].read.start
    for tile in plan:
        written[tile.write.slices] += 1
        assert tile.read.shape == plan.tile
        assert tile.crop.shape == tile.write.shape
        assert all(
            (a - b) % axis.multiple == 0 for axis, a, b in zip(geometry.axes, tile.read.start, first, strict=True)
        )
    assert (written == 1).all()
    assert len(list(plan)) == len(plan)


@given(geometries, shapes)
def test_tiles_come_in_the_order_of_the_array(geometry, shape):
    starts = [tile.write.start for tile in plan_of(shape, geometry)]
    assert starts == sorted(starts)


@given(geometries, shapes)
def test_the_whole_in_one_tile_is_the_first_of_all_tilings(geometry, shape):
    plan = one_tile(shape, geometry)
    assert len(plan) == 1
    assert plan.tile == tuple(axis.input_length(n) for axis, n in zip(geometry.axes, shape, strict=True))
    for axis, length in zip(plan.axes, shape, strict=True):
        tilings = all_tilings(length, axis.geometry)
        assert tilings[0] == axis
        assert sorted({tiling.tile for tiling in tilings}, reverse=True) == [tiling.tile for tiling in tilings]


@settings(max_examples=200)
@given(geometries, st.integers(1, 200), st.integers(0, 6), st.data())
def test_what_is_left_of_a_tile_is_a_tile(geometry, length, longer, data):
    plan = plan_of((length, 5, 5), geometry, (longer, 0, 0))
    tile = plan[data.draw(st.integers(0, len(plan) - 1))]
    planes = data.draw(st.integers(0, tile.write.shape[0] - 1))
    left = tile.after(planes, geometry)
    z, *_ = geometry.axes
    lost = z.margin // 2
    assert left.write.stop == tile.write.stop
    assert tile.write.start[0] <= left.write.start[0] <= tile.write.start[0] + planes
    assert tile.write.start[0] + planes - left.write.start[0] < z.multiple
    assert z.is_valid(left.read.shape[0])
    assert (left.read.start[0] - tile.read.start[0]) % z.multiple == 0
    assert left.read.stop == tile.read.stop
    assert left.crop.shape == left.write.shape
    assert left.read.start[0] + lost + left.crop.start[0] == left.write.start[0]
    assert left.crop.stop[0] <= z.output_length(left.read.shape[0])
    if geometry.padding == "same":
        assert left.read.start[0] == tile.read.start[0] or left.crop.start[0] >= z.halo
