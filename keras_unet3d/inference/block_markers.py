"""Which blocks of a segmentation that processes share are written, as files say that whoever wrote them has made."""

import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import WorkError


class BlockMarkers:
    """Files ``<number>.<planes>``: the first planes of a block are on the disk; how many voxels each class has in them.

    Those of earlier planes stay: another process may have begun the same block behind them.

    Attributes:
        planes: that are written of each block, by its number, when `look` looked.
    """

    def __init__(self, folder: Path, classes: int) -> None:
        """Prepare.

        Args:
            folder: of the markers.
            classes: of the labels.
        """
        self._folder, self._classes = folder, classes
        self.planes: dict[int, int] = {}

    def look(self) -> None:
        """See what is there by now."""
        planes: dict[int, int] = {}
        for marker in self._folder.iterdir():
            number, _, written = marker.name.partition(".")
            if number.isdecimal() and written.isdecimal():
                planes[int(number)] = max(planes.get(int(number), 0), int(written))
        self.planes = planes

    def note(self, number: int, planes: int, counts: NDArray[np.int64]) -> None:
        """Mark planes of a block as written, with the voxels of each class in them.

        Raises:
            WorkError: if that cannot be written.
        """
        self.planes[number] = planes
        marker = self._marker(number, planes)
        beside = marker.with_name(f"{marker.name}-{os.getpid()}")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump(counts.tolist(), file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(marker)
        except OSError as error:
            raise WorkError(f"{marker}: could not be written ({error.strerror or error}).") from error

    def counted(self, number: int) -> NDArray[np.int64]:
        """Voxels of each class in the planes of a block that are written."""
        planes = self.planes.get(number, 0)
        if not planes:
            return np.zeros(self._classes, np.int64)
        return np.array(json.loads(self._marker(number, planes).read_text(encoding="utf-8")), np.int64)

    def _marker(self, number: int, planes: int) -> Path:
        return self._folder / f"{number}.{planes}"
