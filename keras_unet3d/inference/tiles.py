"""Which tiles cover a volume: the least work under a limit on the size of a tile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from keras_unet3d.inference.axis import AxisTiling, axis_tiling, shortest_of_many
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box, Triple


@dataclass(frozen=True)
class Tile:
    """One step of a tiled prediction along z, y and x.

    Attributes:
        read: where the network's input lies in the mirrored volume, voxels.
        write: where its result goes in the volume, voxels.
        crop: the part of the network's output that is written.
    """

    read: Box
    write: Box
    crop: Box


@dataclass(frozen=True)
class TilePlan:
    """Tiles of one shape that cover a volume, in the order z, y, x; what they write covers each voxel once.

    Attributes:
        axes: how the tiles follow one another along z, y and x.
        max_tile_voxels: input voxels that a tile should not exceed.
    """

    axes: tuple[AxisTiling, AxisTiling, AxisTiling]
    max_tile_voxels: int

    @property
    def geometry(self) -> Geometry:
        """Of the network that the plan is for."""
        return self.axes[0].geometry

    @property
    def volume(self) -> Triple:
        """Voxels of the volume along z, y, x."""
        return _triple([axis.length for axis in self.axes])

    @property
    def tile(self) -> Triple:
        """Input voxels of every tile along z, y, x."""
        return _triple([axis.tile for axis in self.axes])

    @property
    def stride(self) -> Triple:
        """Voxels from one tile to the next along z, y, x."""
        return _triple([axis.stride for axis in self.axes])

    @property
    def counts(self) -> Triple:
        """Tiles along z, y, x."""
        return _triple([axis.count for axis in self.axes])

    @property
    def work(self) -> float:
        """Input voxels of all tiles, against those of the whole volume in one tile: 1 where nothing is done twice."""
        whole = prod(_one_tile(axis.length, axis.geometry).tile for axis in self.axes)
        return float(len(self) * prod(self.tile) / whole)

    @property
    def exceeds_limit(self) -> bool:
        """Whether even the smallest tile has more than `max_tile_voxels`."""
        return prod(self.tile) > self.max_tile_voxels

    def __len__(self) -> int:
        return prod(self.counts)

    def __iter__(self) -> Iterator[Tile]:
        for index in product(*(range(count) for count in self.counts)):
            steps = list(zip(self.axes, index, strict=True))
            write = Box(
                _triple([axis.write_start(i) for axis, i in steps]), _triple([axis.write_stop(i) for axis, i in steps])
            )
            read = Box.at([axis.read_start(i) for axis, i in steps], self.tile)
            yield Tile(read, write, Box.at([axis.crop_start(i) for axis, i in steps], write.shape))

    def __str__(self) -> str:
        if len(self) == 1:
            text = f"1 tile of {named(self.tile)} for a volume of {named(self.volume)}"
        else:
            text = (
                f"{len(self)} tiles ({named(self.counts)}) of {named(self.tile)}, every {named(self.stride)}, for a "
                f"volume of {named(self.volume)}: {self.work:.2f} times the voxels of a single tile"
            )
        if self.exceeds_limit:
            text += (
                f"; a tile has {prod(self.tile)} voxels, more than the {self.max_tile_voxels} it should have: the "
                f"network takes no smaller one"
            )
        return text


def plan_tiles(shape: Sequence[int], geometry: Geometry, max_tile_voxels: int) -> TilePlan:
    """Choose the tiles that give the network the least input, and none larger than allowed.

    One tile where the volume fits. Where even the smallest tile is too large it is used all the same, and the plan
    says so (`TilePlan.exceeds_limit`).

    Args:
        shape: voxels of the volume along z, y, x; more axes are ignored.
        geometry: of the network.
        max_tile_voxels: input voxels that a tile may have; see `memory.max_tile_voxels`.
    """
    candidates = [_candidates(int(length), geometry) for length in shape[:3]]
    tiles = [np.array([axis.tile for axis in axes], dtype=np.int64) for axes in candidates]
    counts = [np.array([axis.count for axis in axes], dtype=np.int64) for axes in candidates]
    size = np.multiply.outer(np.multiply.outer(*tiles[:2]), tiles[2])
    number = np.multiply.outer(np.multiply.outer(*counts[:2]), counts[2])
    allowed = size <= max(max_tile_voxels, size.min())
    order = np.lexsort((number.ravel(), (number * size).ravel(), ~allowed.ravel()))
    z, y, x = (axes[i] for axes, i in zip(candidates, np.unravel_index(order[0], size.shape), strict=True))
    return TilePlan((z, y, x), max_tile_voxels)


def one_tile(shape: Sequence[int], geometry: Geometry) -> TilePlan:
    """The plan that reads the whole volume at once, whatever it takes."""
    z, y, x = (_one_tile(int(length), geometry) for length in shape[:3])
    return TilePlan((z, y, x), z.tile * y.tile * x.tile)


def _one_tile(length: int, geometry: Geometry) -> AxisTiling:
    longest = max(geometry.input_length(length), shortest_of_many(geometry))
    return axis_tiling(length, longest, geometry)


def _candidates(length: int, geometry: Geometry) -> list[AxisTiling]:
    """Every tiling of an axis whose tiles are as short as their number allows, longest tile first."""
    shortest = shortest_of_many(geometry)
    longest = max(geometry.input_length(length), shortest)
    tilings = (axis_tiling(length, limit, geometry) for limit in range(longest, shortest - 1, -geometry.multiple))
    return list({tiling.tile: tiling for tiling in tilings}.values())


def _triple(values: Sequence[int]) -> Triple:
    z, y, x = values
    return int(z), int(y), int(x)
