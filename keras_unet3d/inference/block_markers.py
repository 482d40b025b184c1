"""Which blocks of a segmentation that processes share are written, as files say that whoever wrote them has made."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.errors import WorkError, writing


class BlockMarkers:
    """Files ``<number>.<planes>``: so many first planes of a block are on the disk.

    Those of whole layers of shards are in the image, and their markers say how many voxels each class has in them. They
    stay: another process may have begun the same block behind them. Planes of a layer that is not whole yet lie in
    ``<number>.<planes before the layer>.rest``, in which every process that computes the block writes the same to the
    same place.

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
        """Mark whole layers of a block as written, with the voxels of each class in them.

        Raises:
            WorkError: if that cannot be written.
        """
        self._mark(number, planes, json.dumps(counts.tolist()))

    def note_rest(self, number: int, before: int, planes: int, classes: NDArray[Any]) -> None:
        """Keep planes of a layer that is not whole yet.

        Args:
            number: of the block.
            before: planes of the layers before it.
            planes: of the block that are on the disk then.
            classes: class indices ``(z, y, x)`` of the last of these planes; those before them are kept already.

        Raises:
            WorkError: if they cannot be written.
        """
        last, first = self.planes.get(number, 0), planes - before - len(classes)
        path, voxels = self._rest(number, before), np.ascontiguousarray(classes)
        with writing(path):
            try:
                file = os.open(path, os.O_WRONLY | (0 if first else os.O_CREAT), 0o644)
            except FileNotFoundError:
                if first:  # another process has written the layer meanwhile: a new file would begin with a hole
                    return
                raise
            with os.fdopen(file, "wb") as stream:
                stream.seek(first * voxels[0].nbytes)
                stream.write(voxels.data)
                stream.flush()
                os.fsync(file)
        self._mark(number, planes, "")
        if last > before:  # of this process
            self._marker(number, last).unlink(missing_ok=True)

    def rest(self, number: int, before: int, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Class indices ``(z, y, x)`` of planes that `note_rest` has kept.

        Raises:
            WorkError: if another process has gone on from there, so that they are gone.
        """
        path, voxels = self._rest(number, before), np.empty(shape, dtype)
        try:
            found = np.fromfile(path, dtype, voxels.size)
        except FileNotFoundError:
            found = voxels[:0]
        if found.size < voxels.size:
            raise WorkError(f"{path}: another process has gone on from there. Call again, and it is gone on with.")
        return found.reshape(voxels.shape)

    def drop_rest(self, number: int, before: int) -> None:
        """Let go of what was kept of a layer that is whole now."""
        self._rest(number, before).unlink(missing_ok=True)

    def counted(self, number: int, planes: int) -> NDArray[np.int64]:
        """Voxels of each class in the whole layers of a block that have so many planes."""
        if not planes:
            return np.zeros(self._classes, np.int64)
        return np.array(json.loads(self._marker(number, planes).read_text(encoding="utf-8")), np.int64)

    def _mark(self, number: int, planes: int, text: str) -> None:
        self.planes[number] = planes
        marker = self._marker(number, planes)
        with writing(marker):
            beside = marker.with_name(f"{marker.name}-{os.getpid()}")
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(marker)

    def _rest(self, number: int, before: int) -> Path:
        return self._folder / f"{number}.{before}.rest"

    def _marker(self, number: int, planes: int) -> Path:
        return self._folder / f"{number}.{planes}"
