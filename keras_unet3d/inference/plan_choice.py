"""Which plan a segmentation gets: by the statistics that its networks normalise by, or the one that it was begun with.

Pure arithmetic.
"""

from dataclasses import replace
from math import ceil
from typing import Literal

from keras_unet3d.inference.budget import shown
from keras_unet3d.inference.planning import Demand, Plan, make_plan
from keras_unet3d.inference.segmentation import tiles_matter
from keras_unet3d.inference.tiles import TilePlan, one_tile
from keras_unet3d.volumes.box import Triple

Asked = Literal["volume", "current"]
"""Of the statistics of the whole volume and those of each tile, what was asked for."""


def choose_plan(
    shape: Triple,
    demand: Demand,
    budget: int,
    held: int = 0,
    *,
    normalizations: int = 0,
    statistics: Asked = "volume",
    workers: int | None = None,
) -> Plan:
    """Choose tiles within a budget for networks that may normalise by the statistics of what they are given.

    One tile whose layers are computed as a whole has the volume's statistics as they are, in one pass: such a model
    gets it wherever it fits. Where it does not, statistics of the volume are gathered first, a pass for each
    normalisation; those of each tile ("current") need every tile computed as a whole.

    Args:
        shape: voxels of the volume along z, y, x.
        demand: what is computed with, for frozen statistics.
        budget: bytes that this process may take.
        held: bytes that it takes already, and will take besides the tiles.
        normalizations: how many normalisations are computed from what they are given: the most of any network.
        statistics: for such networks.
        workers: as for `make_plan`; with any, statistics are those of the volume.

    Raises:
        InputError: where no tile is small enough; the message names a budget that works.
    """
    if workers is not None or not normalizations:
        return make_plan(shape, replace(demand, passes=normalizations), budget, held, workers=workers)
    whole = replace(demand, whole_tiles=True, devices=1)
    single = _plan(one_tile(shape, demand.size.geometry), whole, budget, held)
    if single.memory <= budget:
        return single
    if statistics == "current":
        return make_plan(shape, whole, budget, held)
    return make_plan(shape, replace(demand, passes=normalizations), budget, held)


def begun_plan(tiles: TilePlan, demand: Demand, budget: int, held: int = 0, *, normalizations: int = 0) -> Plan:
    """The plan of tiles that a segmentation was begun with, which may take more than the budget now.

    Args:
        tiles: that were begun with.
        demand: as for `choose_plan`.
        budget: as for `choose_plan`.
        held: as for `choose_plan`.
        normalizations: as for `choose_plan`.
    """
    if normalizations and tiles.slab is None:
        demand = replace(demand, whole_tiles=True, devices=1)
    elif normalizations:
        demand = replace(demand, passes=normalizations)
    return _plan(tiles, demand, budget, held)


def advice(plan: Plan) -> str:
    """What the user should know of a plan for networks that normalise by what they are given, if anything."""
    tiles, demand = plan.tiles, plan.demand
    if demand.whole_tiles and len(tiles) > 1:
        return tiles_matter(tiles)
    if demand.passes:
        factor = plan.flop / (len(tiles) * float(replace(demand, passes=0).flop(tiles.tile)))
        return (
            f"This model normalises by statistics of the volume, which takes {len(tiles)} "
            f"{'tile' if len(tiles) == 1 else 'tiles'} with {shown(plan.budget)} of memory: they are gathered in "
            f"{demand.passes} passes over it before the labels, {factor:.1f} times the work of a model with frozen "
            f"statistics."
        )
    return ""


def _plan(tiles: TilePlan, demand: Demand, budget: int, held: int) -> Plan:
    return Plan(tiles, demand, ceil(held + float(demand.memory(tiles.tile, tiles.slab or tiles.tile[0]))), budget)
