"""Which tiles a volume is sent in.

Pure arithmetic.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import shown
from keras_unet3d.inference.planning import Demand, Plan
from keras_unet3d.inference.tiles import TilePlan, all_tilings, block_tilings
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Triple

COPIES = 4
"""How often a tile and its reply are in memory at the worst moment: as an array, as the tensor's bytes, as the
message's, and as what gRPC sends or has received."""

ENVELOPE = 4096
"""Bytes of a message besides its numbers, more than enough."""


@dataclass(frozen=True)
class Serving:
    """What tiles are sent to.

    Attributes:
        size: of each network of the model.
        members: networks whose probabilities are averaged, and mirrored tiles that are sent.
        tile: that the model was exported with: what it takes of a server's memory, each of ours may take.
        servers: how many there are.
        in_flight: requests of each at a time.
        largest_message: bytes.
    """

    size: NetworkSize
    members: int
    tile: Triple
    servers: int = 1
    in_flight: int = 1
    largest_message: int = 2**31 - 1

    @property
    def demand(self) -> Demand:
        """What the servers compute with."""
        return Demand(self.size, members=self.members, whole_tiles=True, devices=self.servers)

    def message(self, tile: Any) -> Any:
        """Bytes of the larger of a request and its reply, for a tile of so many voxels along z, y, x."""
        return 4 * np.maximum(*self._numbers(tile)) + ENVELOPE

    def memory(self, tile: Any, number: Any) -> Any:
        """Bytes that this process takes for those of so many tiles that are on their way."""
        return COPIES * 4 * sum(self._numbers(tile)) * np.minimum(number, self.servers * self.in_flight)

    def _numbers(self, tile: Any) -> tuple[Any, Any]:
        """Of a tile, and of its reply."""
        output = [length - lost for length, lost in zip(tile, self.size.geometry.margins, strict=True)]
        return prod(tile) * self.size.channels, prod(output) * self.size.classes

    def plan(self, shape: Triple, budget: int, held: int = 0, *, workers: int | None = None) -> Plan:
        """Choose the tiles that cost the least: all of one shape, so that a server that merges requests can.

        Args:
            shape: voxels of the volume along z, y, x.
            budget: bytes that this process may take.
            held: bytes that it takes already, and will take besides the tiles.
            workers: processes that share the volume in blocks, as for `make_plan`.

        Raises:
            InputError: where no tile is small enough for a message, or for the budget.
        """
        tilings_of = all_tilings if workers is None else block_tilings
        z, y, x = (tilings_of(length, axis) for length, axis in zip(shape, self.size.geometry.axes, strict=True))
        tile = np.ix_(*([tiling.tile for tiling in tilings] for tilings in (z, y, x)))
        number = prod(np.ix_(*([tiling.count for tiling in tilings] for tilings in (z, y, x))))
        suits = self.size.held_whole(tile) <= self.size.held_whole(self.tile)
        message, memory = self.message(tile), held + self.memory(tile, number)
        if not suits.any():
            smallest = tuple(min(tiling.tile for tiling in tilings) for tilings in (z, y, x))
            raise InputError(
                f"Blocks that several processes share take tiles of {named(smallest)} at least; this model was "
                f"exported for {named(self.tile)}. Export it with more memory for a tile (unet3d export --memory)."
            )
        if not (suits & (message <= self.largest_message)).any():
            raise InputError(
                f"The smallest tile of this model takes a message of "
                f"{shown(int(message.min()), rounded_up=True)}; {shown(self.largest_message)} are allowed "
                f"(--largest-message)."
            )
        suits = suits & (message <= self.largest_message)
        if not (suits & (memory <= budget)).any():
            raise InputError(
                f"To send a volume of {named(shape)} needs a memory budget of at least "
                f"{shown(int(memory[suits].min()), rounded_up=True)}; {shown(budget)} were given (--memory)."
            )
        rounds = np.ceil(number / (self.servers * (workers or 1))) + (workers is not None)
        cost = rounds * self.demand.flop(tile)
        best = np.unravel_index(int(np.argmin(np.where(suits & (memory <= budget), cost, np.inf))), cost.shape)
        return self._as_plan(TilePlan((z[int(best[0])], y[int(best[1])], x[int(best[2])])), budget, held)

    def begun_plan(self, tiles: TilePlan, budget: int, held: int = 0) -> Plan:
        """The plan of tiles that a segmentation was begun with, which may take more than the budget now.

        Raises:
            InputError: where a message has become too small for them.
        """
        if self.message(tiles.tile) > self.largest_message:
            raise InputError(
                f"What is there was planned for messages of {shown(self.message(tiles.tile), rounded_up=True)}; "
                f"{shown(self.largest_message)} are allowed. Give that much (--largest-message), or begin again."
            )
        return self._as_plan(tiles, budget, held)

    def _as_plan(self, tiles: TilePlan, budget: int, held: int) -> Plan:
        memory = held + int(self.memory(tiles.tile, len(tiles)))
        return Plan(tiles, self.demand, memory, budget)
