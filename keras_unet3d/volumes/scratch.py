"""Voxels in a raw file on disk: a volume that is larger than memory, written and read box by box."""

import math
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.errors import WorkError, writing
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.slabs import slabs
from keras_unet3d.volumes.voxels import Part, Voxels, read_together

_AT_PLACES = hasattr(os, "preadv") and hasattr(os, "pwrite")
"""Whether this system reads and writes at a place in a file without seeking; Windows does not."""

_LONGEST_PASSED_OVER = 1 << 12
"""Bytes between two rows that are sooner read along than passed over by another call."""


@contextmanager
def scratch_copy(voxels: Voxels, path: Path) -> Iterator["ScratchVoxels"]:
    """Copy voxels that are slow to read into a raw file, slab by slab, which goes when the context ends.

    Raises:
        WorkError: as `ScratchVoxels`.
    """
    try:
        with ScratchVoxels(path, voxels.shape, voxels.dtype) as copy:
            for box in slabs(voxels, read_together(voxels)):
                copy.write(box, voxels[box.slices])
            yield copy
    finally:
        path.unlink(missing_ok=True)


class ScratchVoxels:
    """Voxels ``(z, y, x)`` or ``(z, y, x, channel)`` in a raw file, in that order, the last axis fastest.

    The file is not mapped into memory, where its pages would count as the process's own. A new one is sparse: it takes
    disk space as it is written, and what was never written is 0. One that is there with the right size is opened with
    what it holds. Several threads may read and write at once, in boxes that do not overlap.

    Args:
        path: the raw file.
        shape: voxels along z, y, x, and channels where there are some.
        dtype: of a voxel.

    Raises:
        WorkError: if the file is there with another size, the disk has not enough free space, or the file cannot be
            made.
    """

    def __init__(self, path: str | os.PathLike[str], shape: Sequence[int], dtype: DTypeLike) -> None:
        self.path = Path(path)
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype)
        self.ndim = len(self.shape)
        if self.ndim not in {3, 4} or min(self.shape) < 1:
            raise ValueError(f"Expected at least one voxel along z, y, x, and channels perhaps. Received: {self.shape}")
        self._voxel_bytes = math.prod(self.shape[3:]) * self.dtype.itemsize
        self._lock = threading.Lock()
        size = math.prod(self.shape[:3]) * self._voxel_bytes
        try:
            self._check_size(size)
            self._file = self.path.open("r+b" if self.path.exists() else "x+b", buffering=0)
            self._file.truncate(size)
        except OSError as error:
            raise WorkError(f"{path}: could not be made ({error.strerror or error}).") from error

    def write(self, box: Box, voxels: NDArray[Any]) -> None:
        """Write a box that lies inside the volume.

        Args:
            box: where.
            voxels: of the box's shape, with all channels; converted to `dtype`.

        Raises:
            ValueError: if the voxels are not of the box's shape, or the box reaches outside.
            WorkError: if writing fails, on a full disk for example.
        """
        expected = (*box.shape, *self.shape[3:])
        if voxels.shape != expected or box.clipped(self.shape[:3]) != box:
            raise ValueError(
                f"Expected voxels of {expected} in {named(self.shape[:3])}. Received: {voxels.shape} at {box}"
            )
        data = np.ascontiguousarray(voxels, self.dtype).reshape(-1).view(np.uint8).data
        firsts, length = self._runs(box)
        with writing(self.path):
            for number, first in enumerate(firsts):
                self._write_at(first, data[number * length : (number + 1) * length])

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read a part: slices without a step along z, y and x; those that are left out are whole."""
        box = Box.of(part, self.shape)
        voxels = np.empty((*box.shape, *self.shape[3:]), self.dtype)
        if not voxels.size:
            return voxels
        if self._whole_rows_pay(box):
            depth, height, _ = box.shape
            rows = Box.at((*box.start[:2], 0), (1, height, self.shape[2]))
            plane = np.empty((*rows.shape, *self.shape[3:]), self.dtype)
            for z in range(depth):
                self._read(rows.shifted((z, 0, 0)), plane)
                voxels[z] = plane[0, :, box.slices[2]]
        else:
            self._read(box, voxels)
        return voxels

    def flush(self) -> None:
        """Make sure that all that was written is on the disk, also after a power cut."""
        with writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, which stays. May be called again."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_size(self, size: int) -> None:
        """Refuse a file of another volume, and a disk on which this one does not fit."""
        taken = 0
        if self.path.exists():
            found = self.path.stat()
            if found.st_size != size:
                raise WorkError(
                    f"{self.path}: has {found.st_size} bytes; {named(self.shape[:3])} takes {size}. It is of another "
                    "volume: remove it."
                )
            # Windows, which does not tell, has taken all of it.
            taken = 512 * found.st_blocks if hasattr(found, "st_blocks") else size
        folder = self.path.resolve().parent
        free = shutil.disk_usage(folder).free
        if size - taken > free:
            raise WorkError(
                f"{folder}: {named(self.shape[:3])} takes {(size - taken) / 2**30:.1f} GiB on this disk for the time "
                f"of the work, and {free / 2**30:.1f} GiB are free. Free some, or choose another folder."
            )

    def _whole_rows_pay(self, box: Box) -> bool:
        return 0 < (self.shape[2] - box.shape[2]) * self._voxel_bytes <= _LONGEST_PASSED_OVER and box.shape[1] > 1

    def _runs(self, box: Box) -> tuple[list[int], int]:
        """What of the box lies together in the file, planes, rows or parts of rows: first bytes, and how many each."""
        _, height, width = self.shape[:3]
        (z, y, x), (depth, rows, columns) = box.start, box.shape
        if columns < width:
            firsts = [(plane * height + row) * width + x for plane in range(z, z + depth) for row in range(y, y + rows)]
            length = columns
        elif rows < height:
            firsts, length = [(plane * height + y) * width for plane in range(z, z + depth)], rows * width
        else:
            firsts, length = [z * height * width], depth * height * width
        return [first * self._voxel_bytes for first in firsts], length * self._voxel_bytes

    def _read(self, box: Box, voxels: NDArray[Any]) -> None:
        data = voxels.reshape(-1).view(np.uint8).data
        firsts, length = self._runs(box)
        try:
            for number, first in enumerate(firsts):
                self._read_at(first, data[number * length : (number + 1) * length])
        except OSError as error:
            raise WorkError(f"{self.path}: could not be read ({error.strerror or error}).") from error

    def _read_at(self, first: int, data: memoryview) -> None:
        while data:
            if _AT_PLACES:
                done = os.preadv(self._file.fileno(), [data], first)
            else:
                with self._lock:
                    self._file.seek(first)
                    done = self._file.readinto(data)
            if not done:
                raise WorkError(f"{self.path}: was cut off by something else while in use. Start again.")
            data, first = data[done:], first + done

    def _write_at(self, first: int, data: memoryview) -> None:
        while data:
            if _AT_PLACES:
                done = os.pwrite(self._file.fileno(), data, first)
            else:
                with self._lock:
                    self._file.seek(first)
                    done = self._file.write(data)
            data, first = data[done:], first + done
