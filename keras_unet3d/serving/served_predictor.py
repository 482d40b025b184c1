"""A served model for tiled prediction: one request at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.client import Client
from keras_unet3d.volumes.intensity import Intensities


class ServedPredictor:
    """A `Predictor` whose tiles go to servers; as many of them as requests are to be on their way at a time."""

    def __init__(self, client: Client, mirrored: Sequence[int] = ()) -> None:
        """Take a client.

        Args:
            client: that may serve others, too.
            mirrored: axes (0, 1, 2 for z, y, x): the probabilities are those of the mirrored tile, mirrored back.
        """
        self._client, self._mirrored = client, tuple(mirrored)

    @property
    def geometry(self) -> Geometry:
        """Which tiles the model takes and what it returns."""
        return self._client.description.geometry.geometry

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self._client.description.classes)

    @property
    def tile_dependent(self) -> bool:
        """Whether the model normalises by the statistics of each tile."""
        return self._client.description.tile_dependent

    @property
    def intensities(self) -> Intensities:
        """What the model wants; a volume is measured here, as a server sees but tiles."""
        return self._client.description.intensities

    def start(self, intensity: NDArray[np.float32]) -> "ServedTile":
        """Begin a tile."""
        return ServedTile(self._client, self.intensities.with_windows(intensity), self._mirrored)


class ServedTile:
    """A tile that is sent when all of it has come. Started by `ServedPredictor`."""

    def __init__(self, client: Client, intensity: NDArray[np.float32], mirrored: tuple[int, ...]) -> None:
        """Begin before the first plane."""
        self._client, self._intensity, self._mirrored = client, intensity, mirrored
        self._planes: list[NDArray[np.float32]] = []

    def push(self, planes: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32] | None:
        """Let raw planes ``(z, y, x, channel)`` in; all probabilities ``(z, y, x, class)`` come out with the last."""
        self._planes.append(planes)
        if not last:
            return None
        tile = self._planes[0] if len(self._planes) == 1 else np.concatenate(self._planes)
        self._planes.clear()
        tile = np.flip(tile, self._mirrored)
        probabilities: NDArray[np.float32] = self._client.probabilities(tile[None], self._intensity[None])[0]
        return np.flip(probabilities, self._mirrored) if self._mirrored else probabilities
