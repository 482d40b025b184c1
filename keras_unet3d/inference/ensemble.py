"""Several networks as one: the mean of their probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.inference.predictor import Predictor, TileStream
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.intensity import Intensities


class Ensemble:
    """Networks that see the same tiles; each plane is averaged as soon as all have given it.

    Attributes:
        members: of one geometry, for the same classes.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        """Take at least one network.

        Raises:
            ValueError: if their geometries or numbers of classes differ.
        """
        kinds = {(member.geometry, member.classes) for member in members}
        if len(kinds) != 1:
            raise ValueError(f"Expected networks of one geometry and number of classes. Received: {kinds}")
        self.members = tuple(members)

    @property
    def geometry(self) -> Geometry:
        """Of all members."""
        return self.members[0].geometry

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.members[0].classes

    @property
    def tile_dependent(self) -> bool:
        """Whether a member's statistics are those of the tile."""
        return any(member.tile_dependent for member in self.members)

    @property
    def intensities(self) -> Intensities:
        """Windows where all members have one, of which each puts its own in place; else the volume is measured."""
        first, *others = (member.intensities.windows for member in self.members)
        common = set(first).intersection(*others)
        return Intensities({number: first[number] for number in sorted(common)})

    def start(self, intensity: NDArray[np.float32]) -> "_MeanStream":
        """Begin a tile in every member."""
        return _MeanStream([member.start(intensity) for member in self.members])


class _MeanStream:
    def __init__(self, streams: Sequence[TileStream]) -> None:
        self._streams = streams
        self._waiting: list[list[NDArray[np.float32]]] = [[] for _ in streams]

    def push(self, planes: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32] | None:
        for stream, waiting in zip(self._streams, self._waiting, strict=True):
            ready = stream.push(planes, last=last)
            if ready is not None:
                waiting.append(ready)
        common = min(sum(len(piece) for piece in waiting) for waiting in self._waiting)
        if not common:
            return None
        mean: Any = 0
        for waiting in self._waiting:
            together = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            waiting[:] = [together[common:]] if len(together) > common else []
            mean = mean + together[:common] / np.float32(len(self._streams))
        result: NDArray[np.float32] = mean
        return result
