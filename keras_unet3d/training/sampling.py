"""Which tile is trained on: decided by seed, step, index and attempt alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.weights import class_counts
from keras_unet3d.volumes.box import Box, Triple

REMEMBERED_VOXELS = 100_000
"""Labelled voxels of a class that are remembered for each case: enough to be everywhere, small beside the case."""


@dataclass(frozen=True, eq=False)
class TrainingVolume:
    """A case as training sees it.

    Attributes:
        name: of the case.
        image: float32 ``(z, y, x, channel)``, intensities normalised.
        class_index: int16 ``(z, y, x)``, −1 where unlabelled.
        spacing: voxel edges along z, y, x.
    """

    name: str
    image: NDArray[np.float32]
    class_index: NDArray[np.int16]
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class Place:
    """Where a tile is cut: the case's number and the box of its labels, in that case's voxels."""

    volume: int
    labels: Box


class Sampler:
    """Draws places so that every class is met equally often and no tile is without a label.

    A class is drawn, then a case that has it, then one of its labelled voxels; the tile lies anywhere around that
    voxel. Where a volume is longer than the tile, the tile stays inside it.
    """

    def __init__(self, volumes: Sequence[TrainingVolume], label_tile: Triple) -> None:
        self.volumes = volumes
        self.label_tile = label_tile
        self._voxels: dict[int, dict[int, NDArray[np.int64]]] = {}  # class → case → flat positions
        for number, volume in enumerate(volumes):
            for value, positions in _labeled_voxels(volume.class_index).items():
                self._voxels.setdefault(value, {})[number] = positions
        self._classes = sorted(self._voxels)

    def place(self, rng: np.random.Generator) -> Place:
        """Draw one place."""
        cases = self._voxels[self._classes[rng.integers(len(self._classes))]]
        number = list(cases)[rng.integers(len(cases))]
        shape = self.volumes[number].class_index.shape
        voxel = np.unravel_index(rng.choice(cases[number]), shape)
        start = [
            _start(int(at), tile, length, float(rng.random()))
            for at, tile, length in zip(voxel, self.label_tile, shape, strict=True)
        ]
        return Place(number, Box.at(start, self.label_tile))


def _labeled_voxels(class_index: NDArray[np.int16]) -> dict[int, NDArray[np.int64]]:
    """Flat positions of labelled voxels by class, at most `REMEMBERED_VOXELS` of each, evenly spread.

    Plane by plane: the positions of all labelled voxels of a large volume would take several times its own memory.
    """
    counts = class_counts(class_index, int(class_index.max()) + 1)
    found: dict[int, NDArray[np.int64]] = {}
    for value in np.flatnonzero(counts):
        stride, seen, parts = -(-int(counts[value]) // REMEMBERED_VOXELS), 0, []
        for z, plane in enumerate(class_index):
            here = np.flatnonzero(plane == value)
            parts.append(here[-seen % stride :: stride] + z * plane.size)
            seen += len(here)
        found[int(value)] = np.concatenate(parts)
    return found


def _start(voxel: int, tile: int, length: int, share: float) -> int:
    """Where a tile begins that contains `voxel`; centred where the volume is shorter than the tile."""
    if tile >= length:
        return (length - tile) // 2
    low, high = max(voxel - tile + 1, 0), min(voxel, length - tile)
    return low + int(share * (high - low + 1))
