"""How tiles follow one another along one axis, without a seam.

Pooling grids of two tiles line up only where their origins differ by multiples of the geometry's `multiple` (8), so
a tile moves on by 8m voxels, whatever it returns (8m + 4 unpadded). Written with operators alone, so that integers
plan here and tensors count inside the served graph.
"""

from dataclasses import dataclass
from typing import Any

from keras_unet3d.network.sizes import AxisGeometry


@dataclass(frozen=True)
class AxisTiling:
    """Tiles of one length along one axis of a volume. Tile i of `count` is asked where it reads and writes.

    Unpadded, a tile reads `halo` voxels more than it returns on each side. Zero-padded, all tiles lie in the whole: the
    volume mirrored up to a multiple; the halo is there as well, save at the ends of the whole.

    Attributes:
        geometry: of the network along this axis.
        length: voxels of the volume.
        tile: input voxels of every tile.
        count: tiles.
        stride: voxels from one tile to the next, a multiple of `geometry.multiple`; of one tile it says nothing.
        aligned: whether every tile begins to write at a multiple of the stride. Unpadded ones always do; zero-padded,
            the first tile else writes a halo more than the others, which lies inside of it.
    """

    geometry: AxisGeometry
    length: Any
    tile: Any
    count: Any
    stride: Any
    aligned: bool = False

    def read_start(self, i: Any) -> Any:
        """First input voxel of tile `i`, counted in the volume; below 0 is mirrored."""
        if self.geometry.padding == "valid":
            return i * self.stride - self.geometry.halo
        start = _larger(i * self.stride - self.geometry.halo, 0) if self.aligned else i * self.stride
        return _smaller(start, _up(self.length, self.geometry.multiple) - self.tile)

    def write_start(self, i: Any) -> Any:
        """First voxel that tile `i` writes."""
        lead = 0 if self.aligned or self.geometry.padding == "valid" else self.geometry.halo
        return _smaller(i, 1) * (i * self.stride + lead)

    def write_stop(self, i: Any) -> Any:
        """Where tile `i + 1` begins to write; the end of the volume for the last tile."""
        following = i + 1
        is_last = following // self.count
        return is_last * self.length + (1 - is_last) * self.write_start(following)

    def at(self, place: int) -> int:
        """The tile that writes a voxel, where tiles are aligned."""
        return min(place // self.stride, self.count - 1) if self.count > 1 else 0

    def crop_start(self, i: Any) -> Any:
        """First voxel of the network's output for tile `i` that is written."""
        return self.write_start(i) - self.read_start(i) - self.geometry.margin // 2

    @property
    def whole(self) -> Any:
        """Input voxels of the one tile that would give the whole axis."""
        if self.geometry.padding == "same":
            return _up(self.length, self.geometry.multiple)
        overlap = _overlap(self.geometry)  # what the network returns is a multiple and this
        shortest = self.geometry.minimum - self.geometry.margin
        return _larger(_up(self.length - overlap, self.geometry.multiple) + overlap, shortest) + self.geometry.margin

    def counted(self, i: Any, level: int, whole: Any) -> tuple[Any, Any]:
        """Which features of tile `i` to count, so that all tiles together count each feature of the whole once.

        Args:
            i: of the tile.
            level: of the U-Net that the features lie on, 0 for the finest.
            whole: how many features along the axis the one tile of `self.whole` voxels would have.

        Returns:
            First and one past the last, among the features of the tile.
        """
        scale = self.geometry.scale(level)
        is_last = (i + 1) // self.count
        if self.geometry.padding == "valid":
            step = self.stride // scale
            return 0 * step, is_last * (whole - i * step) + (1 - is_last) * step
        start = self.read_start(i)
        stop = is_last * self.whole + (1 - is_last) * self.write_stop(i)
        return (self.write_start(i) - start) // scale, (stop - start) // scale


def axis_tiling(length: Any, longest: Any, geometry: AxisGeometry) -> AxisTiling:
    """As few tiles as cover an axis, and all as short as that number of tiles allows.

    Args:
        length: voxels of the volume.
        longest: input voxels that a tile may have; at least `shortest_of_many(geometry)`.
        geometry: of the network along this axis.
    """
    multiple, overlap = geometry.multiple, _overlap(geometry)
    strides = -(-(length - overlap) // multiple)  # steps of one multiple from the first voxel to the last tile's end
    longest_stride = (longest - geometry.margin - overlap) // multiple
    count = _larger(-(-strides // longest_stride), 1)
    least = (geometry.minimum - geometry.margin - overlap) // multiple
    stride = _larger(-(-strides // count), least)
    tile = geometry.margin + overlap + multiple * stride
    return AxisTiling(geometry, length, tile, count, multiple * stride)


def aligned_tiling(length: int, stride: int, geometry: AxisGeometry) -> AxisTiling | None:
    """Tiles that begin to write at multiples of `stride`, wherever in the volume; None where they would be no shorter.

    Args:
        length: voxels of the volume.
        stride: a multiple of `geometry.multiple`.
        geometry: of the network along this axis.
    """
    overlap = _overlap(geometry)
    tile = geometry.margin + overlap + stride
    beyond = overlap if geometry.padding == "valid" else geometry.halo  # of its stride, that the last tile writes
    covered = length if geometry.padding == "valid" else _up(length, geometry.multiple)
    count = -(-(covered - beyond) // stride)
    if count < 2 or tile < geometry.minimum or (geometry.padding == "same" and tile > covered):
        return None
    return AxisTiling(geometry, length, tile, count, stride, aligned=True)


def shortest_of_many(geometry: AxisGeometry) -> int:
    """Input voxels of the shortest tile that can be one of several along an axis (100 unpadded, 104 padded)."""
    return geometry.margin + _overlap(geometry) + geometry.multiple


def _overlap(geometry: AxisGeometry) -> int:
    """Voxels by which what a tile returns is longer than its stride: 4 unpadded; the two halos, 96, zero-padded."""
    if geometry.padding == "valid":
        return (geometry.remainder - geometry.margin) % geometry.multiple
    return 2 * geometry.halo


def _smaller(a: Any, b: Any) -> Any:
    return (a + b - abs(a - b)) // 2


def _larger(a: Any, b: Any) -> Any:
    return (a + b + abs(a - b)) // 2


def _up(value: Any, multiple: int) -> Any:
    return -(-value // multiple) * multiple
