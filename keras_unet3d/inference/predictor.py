"""What tiled prediction asks of a network, wherever that network runs."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry


@runtime_checkable
class Predictor(Protocol):
    """A network that gives class probabilities for raw tiles: a loaded model, a client, a model in training."""

    @property
    def geometry(self) -> Geometry:
        """Which tiles it takes and what it returns."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def tile_dependent(self) -> bool:
        """Whether its statistics are those of the tile, so that a tiled result differs from the whole."""

    def intensity(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` of a whole raw volume ``(z, y, x, channel)``."""

    def probabilities(self, tiles: NDArray[np.float32], intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities ``(batch, z, y, x, class)``.

        Args:
            tiles: raw ``(batch, z, y, x, channel)``, sizes that `geometry` calls valid.
            intensity: ``(batch, channel, 2)`` of the volume each tile comes from.
        """
