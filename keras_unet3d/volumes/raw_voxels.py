"""Voxels that lie uncompressed in a file, or in memory as they lay there, and are read part by part."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.voxels import Part

_LONGEST_PASSED_OVER = 1 << 12
"""Bytes of a row that are sooner read along than passed over by another call."""


class Bytes(Protocol):
    """What raw voxels lie in."""

    held_bytes: int

    def read_into(self, first: int, data: memoryview) -> None:
        """Fill `data` with the bytes from `first` on. Several threads may do so at once."""


class FileBytes:
    """The bytes of an open file, which is not mapped into memory: mapped pages would count as the process's own."""

    held_bytes = 0

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._lock = threading.Lock()

    def read_into(self, first: int, data: memoryview) -> None:
        """Seek and read.

        Raises:
            InputError: if the file ends before.
        """
        with self._lock:
            self._file.seek(first)
            while data:
                done = self._file.readinto(data)  # type: ignore[attr-defined]
                if not done:
                    raise InputError(f"{self._path}: is cut off. Copy or export it again.")
                data = data[done:]


class MemoryBytes:
    """Bytes in memory."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data
        self.held_bytes = data.nbytes

    def read_into(self, first: int, data: memoryview) -> None:
        """Copy."""
        data[:] = self._data[first : first + len(data)].data


class RawVoxels:
    """Voxels ``(z, y, x, channel)`` in planes of rows, the order that all formats share.

    Args:
        source: where the planes lie.
        planes: first byte of every plane ``(z, channel)``; one column where the channels lie side by side in a voxel.
        plane_shape: rows, voxels in a row, and channels that lie side by side.
        dtype: of a number as it is stored, of either byte order.
        meaning: makes of stored numbers those that are meant, one by one; NIfTI's slope and intercept.
    """

    ndim = 4

    def __init__(
        self,
        source: Bytes,
        planes: NDArray[np.int64],
        plane_shape: Triple,
        dtype: DTypeLike,
        meaning: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        self._source = source
        self._planes = planes
        self._plane_shape = plane_shape
        self._stored = np.dtype(dtype)
        self._meaning = meaning or (lambda numbers: numbers)
        self.dtype = self._meaning(np.empty(0, self._stored)).dtype.newbyteorder("=")
        self.shape = (len(planes), *plane_shape[:2], planes.shape[1] * plane_shape[2])
        self.together = (1, 1, plane_shape[1])
        self.held_bytes = source.held_bytes

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read plane by plane: rows in one go, or the parts of rows, where much would be passed over."""
        box = Box.of(part, self.shape)
        voxels = np.empty((*box.shape, self.shape[3]), self.dtype)
        if not voxels.size:
            return voxels
        zs, ys, xs = box.slices
        _, width, channels = self._plane_shape
        voxel_bytes = channels * self._stored.itemsize
        piecewise = (width - box.shape[2]) * voxel_bytes > _LONGEST_PASSED_OVER
        columns = box.shape[2] if piecewise else width
        plane = np.empty((box.shape[1], columns, channels), self._stored)
        kept = plane if piecewise else plane[:, xs]
        data = plane.reshape(-1).view(np.uint8).data
        length = columns * voxel_bytes if piecewise else len(data)
        skipped = (ys.start * width + (xs.start if piecewise else 0)) * voxel_bytes
        for z, planes in enumerate(self._planes[zs]):
            for number, first in enumerate(planes.tolist()):
                for row, start in enumerate(range(0, len(data), length)):
                    self._source.read_into(first + skipped + row * width * voxel_bytes, data[start : start + length])
                voxels[z, :, :, number * channels : (number + 1) * channels] = self._meaning(kept)
        return voxels


def planes_in_order(first: int, depth: int, channels: int, plane_bytes: int) -> NDArray[np.int64]:
    """Where the planes lie that follow one another along z, and then along the channels: ``(z, channel)``."""
    numbers = np.arange(channels * depth, dtype=np.int64).reshape(channels, depth)
    return first + numbers.T * plane_bytes
