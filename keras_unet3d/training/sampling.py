"""Which tile is trained on: decided by seed, step, index and attempt alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labelled import labelled_positions
from keras_unet3d.volumes.box import Box, Triple

Sampling = Literal["classes", "voxels"]
"""What tiles meet equally often: each class, or each labelled voxel."""
REMEMBERED_VOXELS = 100_000
"""Labelled voxels of a class that are remembered for each case: enough to be everywhere, small beside the case."""


class Labelled(Protocol):
    """What places are drawn from."""

    @property
    def class_index(self) -> NDArray[np.int16]:
        """``(z, y, x)``, −1 where unlabelled."""


@dataclass(frozen=True, eq=False)
class TrainingVolume:
    """A case as training sees it.

    Attributes:
        name: of the case.
        image: float32 ``(z, y, x, channel)``, intensities normalised.
        class_index: int16 ``(z, y, x)``, −1 where unlabelled.
        spacing: voxel edges along z, y, x.
        whole: what the image is called that this is a part of; empty for a whole one.
    """

    name: str
    image: NDArray[np.float32]
    class_index: NDArray[np.int16]
    spacing: tuple[float, float, float]
    whole: str = ""


@dataclass(frozen=True)
class Place:
    """Where a tile is cut: the case's number and the box of its labels, in that case's voxels."""

    volume: int
    labels: Box


class Sampler:
    """Draws places so that no tile is without a label, and every class, or every labelled voxel, is met equally often.

    Of classes, one is drawn, then an image that has it, then one of its labelled voxels, in whichever of its parts; the
    tile lies anywhere around that voxel. Where a volume is longer than the tile, the tile stays inside it.
    """

    def __init__(self, volumes: Sequence[Labelled], label_tile: Triple, sampling: Sampling = "classes") -> None:
        self.volumes = volumes
        self.label_tile = label_tile
        self._voxels: dict[int, dict[int, NDArray[np.int64]]] = {}  # class → case → flat positions
        for number, volume in enumerate(volumes):
            for value, positions in labelled_positions(volume.class_index, REMEMBERED_VOXELS).items():
                self._voxels.setdefault(value, {})[number] = positions
        self._classes = sorted(self._voxels)
        self._images = {value: self._by_image(list(numbers)) for value, numbers in self._voxels.items()}
        self._shares = self._shares_of_voxels() if sampling == "voxels" else None

    def place(self, rng: np.random.Generator) -> Place:
        """Draw one place."""
        number, voxel = self.voxel(rng)
        shape = self.volumes[number].class_index.shape
        start = starts(voxel, np.asarray(self.label_tile), shape, rng.random(3))
        return Place(number, Box.at([int(at) for at in start], self.label_tile))

    def voxel(self, rng: np.random.Generator) -> tuple[int, NDArray[np.int64]]:
        """Draw a labelled voxel: the case's number, and where it lies along z, y, x."""
        if self._shares is not None:
            places, ends = self._shares
            value, number = places[np.searchsorted(ends, rng.integers(ends[-1]), side="right")]
            return number, self._at(value, number, rng)
        value = self._classes[rng.integers(len(self._classes))]
        cases, images = self._voxels[value], self._images[value]
        number, *others = images[rng.integers(len(images))]
        if others:
            ends = np.cumsum([len(cases[part]) for part in (number, *others)])
            number = (number, *others)[np.searchsorted(ends, rng.integers(ends[-1]), side="right")]
        return number, self._at(value, number, rng)

    def _at(self, value: int, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """One of the voxels of a class in a case."""
        shape = self.volumes[number].class_index.shape
        return np.array(np.unravel_index(rng.choice(self._voxels[value][number]), shape))

    def _shares_of_voxels(self) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
        """Classes and cases that have them, and how many labelled voxels these and those before them have."""
        places = [(value, number) for value, cases in sorted(self._voxels.items()) for number in cases]
        voxels = [np.count_nonzero(self.volumes[number].class_index == value) for value, number in places]
        return places, np.cumsum(voxels)

    def _by_image(self, numbers: Sequence[int]) -> list[list[int]]:
        """Numbers of volumes; those of the parts of one image together."""
        images: dict[object, list[int]] = {}
        for number in numbers:
            images.setdefault(getattr(self.volumes[number], "whole", "") or number, []).append(number)
        return list(images.values())


def starts(
    voxel: NDArray[np.integer], tile: NDArray[np.integer], shape: Sequence[int], share: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Where tiles begin that contain a voxel; centred where the volume is shorter than the tile.

    Args:
        voxel: its position along z, y, x.
        tile: ``(3,)`` or ``(n, 3)``, voxels along z, y, x.
        shape: of the volume.
        share: along each axis, from 0 up to 1: which of the possible starts.

    Returns:
        In the shape of `tile`; all tiles lie inside the volume where they can.
    """
    length = np.asarray(shape)
    low, high = np.maximum(voxel - tile + 1, 0), np.minimum(voxel, length - tile)
    start: NDArray[np.int64] = np.where(
        tile >= length, (length - tile) // 2, low + (share * (high - low + 1)).astype(np.int64)
    )
    return start
