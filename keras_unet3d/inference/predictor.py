"""What tiled prediction asks of a network, wherever that network runs."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.intensity import Intensities


class TileStream(Protocol):
    """One tile on its way through a network, from its first plane to its last."""

    def push(self, planes: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32] | None:
        """Let the next planes of the tile in, and what has become ready out.

        Args:
            planes: raw ``(z, y, x, channel)``, any number along z.
            last: whether the tile ends with them.

        Returns:
            Class probabilities ``(z, y, x, class)`` of the next planes of the network's output for this tile, None
            where none is ready. With the last planes, all have come out.
        """


@runtime_checkable
class Predictor(Protocol):
    """A network that gives class probabilities for raw tiles: a model in training or loaded, several, a client."""

    @property
    def geometry(self) -> Geometry:
        """Which tiles it takes and what it returns."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def tile_dependent(self) -> bool:
        """Whether its statistics are those of the tile, so that a tiled result differs from the whole."""

    @property
    def intensities(self) -> Intensities:
        """What it wants of raw intensities; `Intensities.of` a whole raw volume is what `start` wants."""

    def start(self, intensity: NDArray[np.float32]) -> TileStream:
        """Begin a tile of a volume with this offset and scale; tiles are computed one after the other."""
