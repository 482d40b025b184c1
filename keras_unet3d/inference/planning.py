"""The plan before the work: the tiles that cost the least under a memory budget, and what they will take.

Pure arithmetic. The factors were fitted to measurement: see `benchmarks/README.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import shown
from keras_unet3d.inference.tiles import TilePlan, all_tilings, block_tilings, longest_tiling
from keras_unet3d.network.work import BYTES, NetworkSize, Precision
from keras_unet3d.volumes.axes import named

STAYS, STEP = 1.2, 1.65
"""Measured bytes against counted ones: of what a stream holds all the time, and of what its largest step takes."""

WHOLE_TILE_BYTES = 10
"""What a tile takes at its peak whose layers are computed as a whole, for each number that it needs at least.

Measured with 8 and 32 filters and tiles of 100 to 212 voxels a side, in float32: 5.0 to 7.8 unpadded, 7.1 to 8.9
zero-padded, and up to 9.6 with the statistics of the volume.
"""

FIXED = 150e6
"""Bytes that a process takes for its first step, whatever the network: threads, compiled kernels."""

THIN = 0.08
"""What a slab of as many planes as the coarsest axis' multiple costs more than a thick one, as a share of its work."""

ENOUGH = 1.02
"""Of plans whose costs differ by no more than this factor, the one that takes the least memory is chosen."""

SLABS = (1, 2, 3, 4, 6, 8)
"""Slabs to choose from, in multiples of the coarsest axis': thinner ones, where z is pooled less, would cost more."""


@dataclass(frozen=True)
class Demand:
    """What is to be computed with, in numbers.

    Attributes:
        size: of the network; that of the largest of several.
        precision: of its features.
        members: networks and mirrored networks whose probabilities are averaged.
        whole_tiles: whether a tile is computed as a whole, as its own statistics need it.
        passes: over the features for statistics of the whole volume, before the labels: one for each normalisation.
        devices: that share the tiles.
        column: bytes of the image that are kept for each voxel of a plane, as slabs are read of larger chunks.
    """

    size: NetworkSize
    precision: Precision = "float32"
    members: int = 1
    whole_tiles: bool = False
    passes: int = 0
    devices: int = 1
    column: int = 0

    def flop(self, tile: Any) -> Any:
        """Operations for one tile, all members and passes."""
        passes = sum(self.size.flop_until(tile, number) for number in range(self.passes))
        return self.members * (self.size.flop(tile) + passes)

    def memory(self, tile: Any, slab: Any) -> Any:
        """Bytes that one tile takes at the worst moment, in slabs of so many planes."""
        _, y, x = tile
        ends = 3.0 * 4 * slab * y * x * (self.size.channels + self.size.classes)  # read ahead, in work, being written
        weights = BYTES[self.precision] * self.size.weights * self.members * (self.precision != "float32")
        if self.whole_tiles:
            return FIXED + ends + WHOLE_TILE_BYTES * self.size.held_whole(tile)
        stays, step = self.size.held_streamed(tile, slab)
        ends = ends + 2.0 * self.column * y * x  # a layer of chunks, and the next
        return FIXED + ends + weights + BYTES[self.precision] * (STAYS * self.members * stays + STEP * step)


@dataclass(frozen=True)
class Plan:
    """Tiles, and what they will take.

    Attributes:
        tiles: what is computed.
        demand: what it is computed with.
        memory: bytes of this process at the worst moment, as expected.
        budget: bytes that it may take.
    """

    tiles: TilePlan
    demand: Demand
    memory: int
    budget: int

    @property
    def flop(self) -> float:
        """Operations for the whole volume."""
        return float(len(self.tiles) * self.demand.flop(self.tiles.tile))

    @property
    def overhead(self) -> float:
        """All work against that of one tile for the whole volume: 1 where nothing is computed twice."""
        z, y, x = (longest_tiling(axis.length, axis.geometry).tile for axis in self.tiles.axes)
        return self.flop / float(self.demand.flop((z, y, x)))

    def __str__(self) -> str:
        twice = "nothing twice" if self.overhead < 1.005 else f"{self.overhead:.2f} times the work of a single tile"
        return (
            f"{self.tiles}: {twice}; {self.flop / prod(self.tiles.volume) / 1e6:.3g} million operations per voxel, "
            f"about {shown(self.memory)} of memory ({shown(self.budget)} may be taken)"
        )


def make_plan(shape: Sequence[int], demand: Demand, budget: int, held: int = 0, *, workers: int | None = None) -> Plan:
    """Choose the tiles and slabs that cost the least time within the budget.

    A volume is one tile along z, whose planes go through the network in slabs, so that nothing is computed twice along
    z; along y and x it is split only where the budget asks for it. Several devices share the tiles, along z too.

    Where several processes share the volume, each tile is a block that one of them computes and writes: it begins and
    ends where chunks of the result do. Blocks are the better the larger they are, and the fewer voxels are read by two;
    but as a block may be lost with its worker, and the last ones keep the others waiting, one more counts as work.

    Args:
        shape: voxels of the volume along z, y, x; more axes are ignored.
        demand: what is computed with.
        budget: bytes that this process may take.
        held: bytes that it takes already, and will take besides the tiles.
        workers: processes that share the volume in blocks, each with this budget; None where it is one's alone.

    Raises:
        InputError: where no tile is small enough; the message names the smallest budget that works.
    """
    geometry = demand.size.geometry
    tilings = all_tilings if workers is None else block_tilings
    z, y, x = (tilings(int(length), axis) for length, axis in zip(shape[:3], geometry.axes, strict=True))
    if demand.devices == 1 and not demand.whole_tiles and workers is None:
        z = z[:1]
    thick = [times * geometry.coarsest for times in SLABS if (times - 1) * geometry.coarsest < z[0].tile]
    slabs = [z[0].tile] if demand.whole_tiles else thick
    tile = tuple(_along(axis, [tiling.tile for tiling in tilings]) for axis, tilings in enumerate((z, y, x)))
    slab = _along(3, slabs)
    number = prod(_along(axis, [tiling.count for tiling in tilings]) for axis, tilings in enumerate((z, y, x)))
    slab = np.minimum(slab, tile[0]) if demand.whole_tiles else slab
    memory = held + demand.memory(tile, tile[0] if demand.whole_tiles else slab) + 0 * slab
    rounds = np.ceil(number / (demand.devices * (workers or 1))) + (workers is not None)
    cost = rounds * demand.flop(tile) * (1 + THIN * geometry.coarsest / slab)
    memory, cost = np.broadcast_arrays(memory, cost)
    if memory.min() > budget:
        raise InputError(
            f"A volume of {named(tuple(int(n) for n in shape[:3]))} needs a memory budget of at least "
            f"{shown(float(memory.min()), rounded_up=True)} with this model; {shown(budget)} were given. "
            f"{'Give' if budget else 'Free'} more memory (--memory), or use a model with fewer filters."
        )
    least = cost[memory <= budget].min()
    good = (memory <= budget) & (cost <= least * ENOUGH)
    best = np.unravel_index(int(np.argmin(np.where(good, memory, np.inf))), cost.shape)
    axes = (z[int(best[0])], y[int(best[1])], x[int(best[2])])
    plan = TilePlan(axes, None if demand.whole_tiles else slabs[int(best[3])])
    return Plan(plan, demand, ceil(float(memory[best])), budget)


def _along(axis: int, values: Sequence[int]) -> NDArray[np.float64]:
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return np.asarray(values, dtype=np.float64).reshape(shape)
