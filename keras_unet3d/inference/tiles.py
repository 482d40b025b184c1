"""Which tiles cover a volume, and what each of them reads and writes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np

from keras_unet3d.inference.axis import AxisTiling, aligned_tiling, axis_tiling, shortest_of_many
from keras_unet3d.network.sizes import AxisGeometry, Dimensions, Geometry
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

    def after(self, planes: int, geometry: Geometry) -> "Tile":
        """What is left of this tile when its first planes are written already: a tile that begins later along z.

        Args:
            planes: that are written; those beyond the last multiple along z are done again.
            geometry: of the network.
        """
        z, *_ = geometry.axes
        written = planes // z.multiple * z.multiple
        lead = 0 if z.padding == "valid" else z.halo
        skipped = min(max(self.crop.start[0] + written - lead, 0), self.read.shape[0] - z.minimum)
        skipped = skipped // z.multiple * z.multiple
        later = (self.write.start[0] + written, *self.write.start[1:])
        return Tile(
            Box((self.read.start[0] + skipped, *self.read.start[1:]), self.read.stop),
            Box(later, self.write.stop),
            Box.at(
                (self.crop.start[0] + written - skipped, *self.crop.start[1:]),
                (self.crop.shape[0] - written, *self.crop.shape[1:]),
            ),
        )


@dataclass(frozen=True)
class TilePlan:
    """Tiles of one shape that cover a volume, in the order z, y, x; what they write covers each voxel once.

    Attributes:
        axes: how the tiles follow one another along z, y and x.
        slab: planes of a tile that are read and computed at a time, a multiple of that of the z axis; None where a tile
            is computed as a whole.
    """

    axes: tuple[AxisTiling, AxisTiling, AxisTiling]
    slab: int | None = None

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> Self:
        """The plan of `as_json`."""
        z_levels, y_levels, x_levels = noted.get("unpooled", (0, 0, 0))  # earlier versions pooled every axis, in 3D
        unpooled = (z_levels, y_levels, x_levels)
        geometry = Geometry(noted["padding"], noted["depth"], unpooled, noted.get("dimensions", 3))
        numbers = zip(*(map(int, noted[name]) for name in ("volume", "tile", "counts", "stride")), strict=True)
        aligned = bool(noted.get("aligned"))
        z, y, x = (
            AxisTiling(axis, length, tile, count, stride, aligned)
            for axis, (length, tile, count, stride) in zip(geometry.axes, numbers, strict=True)
        )
        return cls((z, y, x), noted["slab"])

    def as_json(self) -> dict[str, Any]:
        """All of it, for another process."""
        return {
            "volume": self.volume,
            "tile": self.tile,
            "counts": self.counts,
            "stride": self.stride,
            "aligned": self.aligned,
            "slab": self.slab,
            "padding": self.geometry.padding,
            "depth": self.geometry.depth,
            "unpooled": self.geometry.unpooled,
            "dimensions": self.geometry.dimensions,
        }

    @property
    def aligned(self) -> bool:
        """Whether tiles begin to write at multiples of the stride."""
        return all(axis.aligned for axis in self.axes)

    @property
    def geometry(self) -> Geometry:
        """Of the network that the plan is for."""
        z, y, x = (axis.geometry for axis in self.axes)
        dimensions: Dimensions = 3 if z.kernel > 1 else 2
        return Geometry(z.padding, z.depth, (z.unpooled, y.unpooled, x.unpooled), dimensions)

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

    def __len__(self) -> int:
        return prod(self.counts)

    def __getitem__(self, number: int) -> Tile:
        """The tile of a number, 0 for the first."""
        index = np.unravel_index(number, self.counts)
        steps = [(axis, int(i)) for axis, i in zip(self.axes, index, strict=True)]
        write = Box(
            _triple([axis.write_start(i) for axis, i in steps]), _triple([axis.write_stop(i) for axis, i in steps])
        )
        read = Box.at([axis.read_start(i) for axis, i in steps], self.tile)
        return Tile(read, write, Box.at([axis.crop_start(i) for axis, i in steps], write.shape))

    def at(self, voxel: Sequence[int]) -> int:
        """The number of the tile that writes a voxel (z, y, x), where tiles are aligned."""
        index = [axis.at(place) for place, axis in zip(voxel, self.axes, strict=True)]
        return int(np.ravel_multi_index(index, self.counts))

    def __iter__(self) -> Iterator[Tile]:
        return (self[number] for number in range(len(self)))

    def __str__(self) -> str:
        slabs = f", {self.slab} planes at a time" if self.slab else ""
        if len(self) == 1:
            return f"1 tile of {named(self.tile)}{slabs}, for a volume of {named(self.volume)}"
        return (
            f"{len(self)} tiles ({named(self.counts)}) of {named(self.tile)}{slabs}, for a volume of "
            f"{named(self.volume)}"
        )


def one_tile(shape: Sequence[int], geometry: Geometry) -> TilePlan:
    """The plan that reads the whole volume at once, whatever it takes."""
    z, y, x = (longest_tiling(int(length), axis) for length, axis in zip(shape[:3], geometry.axes, strict=True))
    return TilePlan((z, y, x))


def longest_tiling(length: int, geometry: AxisGeometry) -> AxisTiling:
    """The tiling of an axis by one tile."""
    longest = max(geometry.input_length(length), shortest_of_many(geometry))
    return axis_tiling(length, longest, geometry)


def all_tilings(length: int, geometry: AxisGeometry) -> list[AxisTiling]:
    """Every tiling of an axis whose tiles are as short as their number allows, longest tile first."""
    shortest = shortest_of_many(geometry)
    longest = max(geometry.input_length(length), shortest)
    tilings = (axis_tiling(length, limit, geometry) for limit in range(longest, shortest - 1, -geometry.multiple))
    return list({tiling.tile: tiling for tiling in tilings}.values())


def block_tilings(length: int, geometry: AxisGeometry) -> list[AxisTiling]:
    """One tile, or tiles that write boxes between multiples of 64, 128, 256, 512, … voxels, longest first."""
    tilings = (aligned_tiling(length, stride, geometry) for stride in reversed(_block_strides(length)))
    single = replace(longest_tiling(length, geometry), aligned=True)
    return [single, *(tiling for tiling in tilings if tiling is not None)]


def _block_strides(length: int) -> list[int]:
    """64, 128, and multiples of 256."""
    return [64, 128, *range(256, length, 256)]


def _triple(values: Sequence[int]) -> Triple:
    z, y, x = values
    return int(z), int(y), int(x)
