"""The plan before the work."""

from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import parse_memory
from keras_unet3d.inference.planning import ENOUGH, Demand, make_plan
from keras_unet3d.inference.tiles import all_tilings
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize

PAPER = Demand(NetworkSize(Geometry(), filters=32, channels=3, classes=3))
GB = 10**9

sizes = st.builds(
    NetworkSize,
    geometry=st.builds(
        lambda padding, depth, unpooled: Geometry(padding, depth, (min(unpooled, depth), 0, 0)),
        st.sampled_from(["valid", "same"]),
        st.integers(1, 3),
        st.integers(0, 1),
    ),
    filters=st.sampled_from([4, 16]),
    channels=st.integers(1, 3),
    classes=st.integers(2, 4),
)
demands = st.builds(
    Demand,
    size=sizes,
    precision=st.sampled_from(["float32", "bfloat16"]),
    members=st.integers(1, 4),
    whole_tiles=st.booleans(),
    devices=st.integers(1, 3),
)


def test_a_volume_is_one_tile_along_z_and_is_split_along_y_and_x_only_where_memory_asks_for_it():
    plans = [make_plan((1024, 1024, 1024), PAPER, budget * GB, GB // 2) for budget in (2, 4, 8, 16, 64)]
    assert all(plan.tiles.counts[0] == 1 for plan in plans)
    assert [len(plan.tiles) for plan in plans] == sorted((len(plan.tiles) for plan in plans), reverse=True)
    assert make_plan((256, 256, 256), PAPER, 16 * GB).overhead == 1
    assert plans[-1].overhead < 1.05
    assert plans[0].overhead < 1.4


def test_what_the_paper_s_tiles_cost_against_one_plan():
    plan = make_plan((64, 244, 248), PAPER, 16 * GB)
    tiles = 7 * 6 * 3  # of x=132 y=132 z=116, every x=40 y=40 z=24
    assert tiles * float(PAPER.flop((116, 132, 132))) / plan.flop > 5


def test_slabs_are_no_thicker_than_the_tile():
    padded = Demand(NetworkSize(Geometry("same"), filters=32, channels=3, classes=3))
    slabs = [make_plan((z, 244, 248), padded, 16 * GB).tiles.slab for z in (1, 8, 9, 16, 200)]
    assert slabs == [8, 8, 16, 16, 24]


def test_too_small_a_budget_names_the_smallest_that_works():
    with pytest.raises(InputError, match="x=248 y=244 z=64") as caught:
        make_plan((64, 244, 248), PAPER, GB // 2 + 10**8, GB // 2)
    smallest = parse_memory(str(caught.value).split("at least ")[1].split(" with")[0])
    assert 0.6 * GB < smallest < 2 * GB
    assert make_plan((64, 244, 248), PAPER, smallest, GB // 2).memory <= smallest


@settings(max_examples=30)
@given(demands, st.tuples(*[st.integers(1, 300)] * 3), st.floats(0.2, 8))
def test_no_other_plan_within_the_budget_costs_less(demand, shape, budget):
    budget = int(budget * GB)
    try:
        plan = make_plan(shape, demand, budget)
    except InputError:
        return
    assert plan.memory <= budget
    assert (plan.tiles.slab is None) == demand.whole_tiles
    geometry = demand.size.geometry

    def cost(number, tile):
        return -(-number // demand.devices) * float(demand.flop(tile))

    least = min(
        cost(prod(axis.count for axis in axes), tile)
        for axes in product(*map(all_tilings, shape, geometry.axes))
        if demand.memory(tile := tuple(axis.tile for axis in axes), tile[0] if demand.whole_tiles else 8) <= budget
        and (demand.whole_tiles or demand.devices > 1 or axes[0].count == 1)
    )
    assert cost(len(plan.tiles), plan.tiles.tile) <= least * ENOUGH * 1.05


def test_layers_of_chunks_that_are_kept_take_memory():
    tile, slab = (64, 244, 248), 8
    assert Demand(PAPER.size, column=384).memory(tile, slab) - PAPER.memory(tile, slab) == 2 * 384 * 244 * 248


def test_several_devices_get_tiles_each():
    two = make_plan((64, 244, 248), Demand(PAPER.size, devices=2), 64 * GB)
    assert len(two.tiles) >= 2
    assert (
        make_plan((64, 244, 248), PAPER, 64 * GB).flop < two.flop < 2 * make_plan((64, 244, 248), PAPER, 64 * GB).flop
    )


def test_members_and_passes_multiply_the_work():
    one = make_plan((64, 244, 248), PAPER, 16 * GB)
    assert make_plan((64, 244, 248), Demand(PAPER.size, members=4), 64 * GB).flop == pytest.approx(4 * one.flop)
    passes = make_plan((64, 244, 248), Demand(PAPER.size, passes=14), 16 * GB)
    assert 5 < passes.flop / one.flop < 15


def test_a_plan_of_thousands_of_voxels_an_axis_is_made_at_once_and_says_what_it_costs():
    plan = make_plan((4000, 10000, 10000), PAPER, 8 * GB, GB)
    assert "million operations per voxel" in str(plan)
    assert "8.0 GB may be taken" in str(plan)
