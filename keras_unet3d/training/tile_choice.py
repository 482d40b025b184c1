"""The training tile: where the labels are, for the least work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import Lengths, NetworkSize
from keras_unet3d.training.sampling import Labelled, Sampler, starts
from keras_unet3d.volumes.box import Triple

PAPER_TILE: Triple = (116, 132, 132)
"""Çiçek et al. 2016, section 2; input voxels along z, y, x."""
PLACES = 64
"""Places that labels are counted at, for every tile the same."""
WORTH = 1.1
"""Another tile than the usual one is taken where it holds this many times as many labelled voxels for the same work."""
LEAST_WORK = 0.75
"""A tile is no less work than this share of the usual one: it is its shape that is chosen, not its size."""
EDGES = 32
"""Lengths that are looked at along each axis, at most about so many."""
CASES = 8
"""Volumes that are looked at, evenly chosen: enough for a habit of annotating."""
TABLE_VOXELS = 1 << 23
"""Above so many voxels labels are counted in cells of 4×4×4."""


Fits = Callable[[Lengths], Any]
"""Whether tiles of some lengths along z, y, x fit; of arrays of lengths an array."""


@dataclass(frozen=True)
class TileChoice:
    """A tile, and why.

    Attributes:
        tile: input voxels along z, y, x.
        usual: what would be taken if every voxel were labelled.
        labelled: voxels with a label in what the tile returns, on the average.
        gain: labelled voxels for the same work, beside `usual`.
    """

    tile: Triple
    usual: Triple
    labelled: float
    gain: float


def _anything_fits(_tile: Lengths) -> Any:
    return True


def choose_tile(
    volumes: Sequence[Labelled],
    spacing: Sequence[float],
    size: NetworkSize,
    *,
    fits: Fits = _anything_fits,
) -> TileChoice:
    """The tile with the most labelled voxels for its work, among those that are about as much work as the usual one.

    Of an unpadded network: every voxel that a tile returns was seen with all of its surroundings, whatever the shape.
    Zero-padded, a flat tile sees less of the volume, and learns less though more is labelled (benchmarks/accuracy.md):
    it keeps the usual shape.

    Args:
        volumes: that are learned from.
        spacing: distance between voxel centres along z, y, x.
        size: of the network.
        fits: whether a step with a tile fits the memory.
    """
    typical = [int(length) for length in np.median([volume.class_index.shape for volume in volumes], axis=0)]
    usual = usual_tile(typical, spacing, size.geometry, fits=fits)
    tiles = _candidates(typical, usual, size)
    edges = (tiles[:, 0], tiles[:, 1], tiles[:, 2])
    work = np.asarray(size.flop(edges), np.float64)
    usual_work = float(size.flop(usual))
    alike = (work <= usual_work) & (work >= LEAST_WORK * usual_work) & fits(edges)
    tiles, work = np.vstack([tiles[alike], usual]), np.append(work[alike], usual_work)
    labelled = labelled_voxels(volumes, tiles - np.array(size.geometry.margins))
    rate = labelled / work
    best = int(rate.argmax())
    gain = float(rate[best] / rate[-1])
    if gain < WORTH:
        return TileChoice(usual, usual, float(labelled[-1]), 1.0)
    z, y, x = (int(edge) for edge in tiles[best])
    return TileChoice((z, y, x), usual, float(labelled[best]), gain)


def usual_tile(
    typical: Sequence[int],
    spacing: Sequence[float],
    geometry: Geometry,
    limit: int = 0,
    *,
    fits: Fits = _anything_fits,
) -> Triple:
    """The whole volume where it has at most `limit` voxels; else a block of about equal physical edges.

    Args:
        typical: voxels of a volume along z, y, x.
        spacing: distance between voxel centres along z, y, x.
        geometry: of the network.
        limit: voxels of a zero-padded tile. Unpadded, the paper's tile is the limit.
        fits: whether a step with a tile fits the memory.

    Returns:
        Input voxels along z, y, x, that the network takes.
    """
    axes = geometry.axes
    if geometry.padding == "valid":
        tile = [
            min(axis.nearest_valid(paper), axis.input_length(int(length)))
            for axis, paper, length in zip(axes, PAPER_TILE, typical, strict=True)
        ]
        limit = prod(tile)
    else:
        tile = [axis.nearest_valid(int(length)) for axis, length in zip(axes, typical, strict=True)]
    while prod(tile) > limit or not fits((tile[0], tile[1], tile[2])):
        edges = [
            edge * distance if edge > axis.minimum else 0.0
            for axis, edge, distance in zip(axes, tile, spacing, strict=True)
        ]
        if not any(edges):
            break
        longest = edges.index(max(edges))
        tile[longest] -= axes[longest].multiple
    z, y, x = tile
    return z, y, x


def labelled_voxels(volumes: Sequence[Labelled], tiles: NDArray[np.integer]) -> NDArray[np.float64]:
    """How many labelled voxels each tile holds where the sampler places it, on the average.

    Args:
        volumes: that tiles are cut from; of many, some are looked at.
        tiles: ``(n, 3)``, voxels that are returned along z, y, x.
    """
    some = [volumes[int(number)] for number in np.linspace(0, len(volumes) - 1, min(len(volumes), CASES))]
    sampler, rng = Sampler(some, (1, 1, 1)), np.random.default_rng(0)
    tables = [_LabelTable(volume.class_index) for volume in some]
    counts = np.zeros(len(tiles))
    for _ in range(PLACES):
        number, voxel = sampler.voxel(rng)
        start = starts(voxel, tiles, some[number].class_index.shape, rng.random(3))
        counts += tables[number].count(start, start + tiles)
    return counts / PLACES


class _LabelTable:
    """Counts the labelled voxels of a box in eight look-ups (a summed-area table; Crow 1984)."""

    def __init__(self, class_index: NDArray[np.integer]) -> None:
        self._cell = 1 if class_index.size <= TABLE_VOXELS else 4
        counts = np.stack([_in_cells(plane >= 0, self._cell) for plane in class_index])
        counts = np.add.reduceat(counts, np.arange(0, len(counts), self._cell), axis=0)
        table = np.zeros([length + 1 for length in counts.shape], np.int32 if class_index.size < 2**31 else np.int64)
        table[1:, 1:, 1:] = counts
        for axis in range(3):
            np.cumsum(table, axis=axis, out=table)
        self._table = table

    def count(self, start: NDArray[np.integer], stop: NDArray[np.integer]) -> NDArray[np.integer]:
        """Of boxes ``(n, 3)``; what lies outside the volume has no labels."""
        last = np.array(self._table.shape) - 1
        (z0, y0, x0), (z1, y1, x1) = (np.clip(-(-at // self._cell), 0, last).T for at in (start, stop))
        table = self._table
        below = table[z0, y1, x1] - table[z0, y0, x1] - table[z0, y1, x0] + table[z0, y0, x0]
        through = table[z1, y1, x1] - table[z1, y0, x1] - table[z1, y1, x0] + table[z1, y0, x0]
        labelled: NDArray[np.integer] = through - below
        return labelled


def _in_cells(plane: NDArray[np.bool_], cell: int) -> NDArray[np.int32]:
    counts = plane.astype(np.int32)
    for axis in range(2):
        counts = np.add.reduceat(counts, np.arange(0, counts.shape[axis], cell), axis=axis)
    return counts


def _candidates(typical: Sequence[int], usual: Triple, size: NetworkSize) -> NDArray[np.integer]:
    """Tiles that an unpadded network takes, no longer than what a volume needs; of very many, some."""
    edges = []
    for axis, length in zip(size.geometry.axes, typical, strict=True):
        edges.append(np.arange(axis.minimum, axis.input_length(int(length)) + 1, axis.multiple))
    for number, along in enumerate(edges):
        tile: list[Any] = [others[0] for others in edges]
        tile[number] = along
        affordable = along[np.asarray(size.flop(tuple(tile))) <= size.flop(usual)]
        edges[number] = affordable[:: -(-len(affordable) // EDGES) or 1] if len(affordable) else along[:1]
    grid: NDArray[np.integer] = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid
