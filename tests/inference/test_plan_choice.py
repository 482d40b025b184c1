"""Which plan networks get that normalise by the statistics of what they are given."""

from dataclasses import replace

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import parse_memory
from keras_unet3d.inference.plan_choice import advice, begun_plan, choose_plan
from keras_unet3d.inference.planning import Demand, make_plan
from keras_unet3d.inference.tiles import one_tile
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize

PAPER = Demand(NetworkSize(Geometry(), filters=32, channels=3, classes=3))
SMALL = Demand(NetworkSize(Geometry("valid", 1), filters=2, channels=1, classes=3))
SHAPE = (64, 244, 248)
GB = 10**9


def test_frozen_networks_get_the_plan_that_costs_the_least():
    assert choose_plan(SHAPE, PAPER, 8 * GB, GB) == make_plan(SHAPE, PAPER, 8 * GB, GB)
    assert advice(choose_plan(SHAPE, PAPER, 8 * GB, GB)) == ""


@pytest.mark.parametrize("statistics", ["volume", "current"])
def test_one_tile_that_fits_is_computed_as_a_whole_on_one_device(statistics):
    demand = replace(PAPER, devices=2)
    plan = choose_plan(SHAPE, demand, 64 * GB, normalizations=14, statistics=statistics)
    assert plan.tiles == one_tile(SHAPE, Geometry())
    assert plan.demand == replace(demand, whole_tiles=True, devices=1)
    assert choose_plan(SHAPE, demand, plan.memory, normalizations=14, statistics=statistics) == replace(
        plan, budget=plan.memory
    )
    assert choose_plan(SHAPE, demand, plan.memory - 1, normalizations=14, statistics=statistics).tiles != plan.tiles
    assert advice(plan) == ""


def test_one_tile_is_not_cut_where_that_costs_next_to_nothing():
    """Two tiles of half the length cost 0.5 % more and take half the memory: right only for frozen statistics."""
    plan = choose_plan((3, 3, 3000), SMALL, 64 * GB, normalizations=6)
    assert len(plan.tiles) == 1


def test_statistics_of_the_volume_take_a_pass_for_each_normalisation():
    plan = choose_plan(SHAPE, PAPER, 4 * GB, normalizations=14)
    assert (plan.demand.passes, plan.demand.whole_tiles) == (14, False)
    assert plan.tiles.slab
    frozen = make_plan(SHAPE, PAPER, 4 * GB)
    factor = plan.flop / len(plan.tiles) / (frozen.flop / len(frozen.tiles))
    assert "with 4.0 GB of memory" in advice(plan)
    assert f"14 passes over it before the labels, {factor:.1f} times the work" in advice(plan)


def test_current_statistics_need_whole_tiles_and_several_have_seams():
    plan = choose_plan(SHAPE, PAPER, 6 * GB, normalizations=14, statistics="current")
    assert (plan.demand.passes, plan.demand.whole_tiles) == (0, True)
    assert plan.tiles.slab is None
    assert f"takes {len(plan.tiles)} of them" in advice(plan)


@pytest.mark.parametrize("asked", [{}, {"normalizations": 14}, {"normalizations": 14, "statistics": "current"}])
@pytest.mark.parametrize("demand", [PAPER, SMALL])
@pytest.mark.parametrize("shape", [SHAPE, (1, 1, 1)])
def test_the_budget_that_is_named_works(shape, demand, asked):
    asked = asked | ({"normalizations": 6} if demand is SMALL and asked else {})
    with pytest.raises(InputError) as caught:
        choose_plan(shape, demand, GB, GB, **asked)
    smallest = parse_memory(str(caught.value).split("at least ")[1].split(" with")[0])
    assert GB < choose_plan(shape, demand, smallest, GB, **asked).memory <= smallest


@pytest.mark.parametrize(
    ("normalizations", "statistics", "budget"), [(0, "volume", 4), (14, "volume", 4), (14, "current", 6)]
)
def test_a_plan_that_was_begun_is_the_same_plan_under_every_budget(normalizations, statistics, budget):
    plan = choose_plan(SHAPE, PAPER, budget * GB, GB, normalizations=normalizations, statistics=statistics)
    for other in (64 * GB, plan.memory, GB):
        begun = begun_plan(plan.tiles, PAPER, other, GB, normalizations=normalizations)
        assert begun == replace(plan, budget=other)
