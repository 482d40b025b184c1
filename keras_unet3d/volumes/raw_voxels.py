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
        """Read whole rows, plane by plane, and keep of them what is in the part."""
        box = Box.of(part, self.shape)
        voxels = np.empty((*box.shape, self.shape[3]), self.dtype)
        if not voxels.size:
            return voxels
        zs, ys, xs = box.slices
        _, width, channels = self._plane_shape
        rows = np.empty((box.shape[1], width, channels), self._stored)
        data = rows.reshape(-1).view(np.uint8).data
        skipped = ys.start * width * channels * self._stored.itemsize
        for z, planes in enumerate(self._planes[zs]):
            for number, first in enumerate(planes):
                self._source.read_into(int(first) + skipped, data)
                voxels[z, :, :, number * channels : (number + 1) * channels] = self._meaning(rows[:, xs])
        return voxels


def planes_in_order(first: int, depth: int, channels: int, plane_bytes: int) -> NDArray[np.int64]:
    """Where the planes lie that follow one another along z, and then along the channels: ``(z, channel)``."""
    numbers = np.arange(channels * depth, dtype=np.int64).reshape(channels, depth)
    return first + numbers.T * plane_bytes
