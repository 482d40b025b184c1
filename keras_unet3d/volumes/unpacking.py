"""Opening files: what stays open, and where compressed voxels are unpacked."""

import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.raw_voxels import Bytes, FileBytes, MemoryBytes

MOST_IN_MEMORY = 1 << 26
"""Bytes of unpacked voxels that are sooner held in memory than written to disk."""

_BLOCK = 1 << 20
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Opening:
    """How files are opened.

    Attributes:
        closing: closes what was opened, and removes what was unpacked.
        whole: whether all voxels are going to be in memory at once.
        scratch: a folder for unpacked voxels; None for the system's own.
    """

    closing: ExitStack
    whole: bool
    scratch: Path | None = None

    def file(self, path: Path) -> Bytes:
        """The bytes of a file."""
        return FileBytes(path, self.closing.enter_context(path.open("rb", buffering=0)))

    def inflated(self, path: Path, file: Path, size: int, *, start: int = 0, skip: int = 0) -> Bytes:
        """Unpack a gzip or zlib stream.

        Args:
            path: of the volume, for messages.
            file: where the stream lies.
            size: bytes of voxels that the header promises.
            start: first byte of the stream.
            skip: unpacked bytes before the voxels.

        Raises:
            InputError: as `unpacked`.
        """
        with file.open("rb") as packed:
            packed.seek(start)
            return self.unpacked(path, _without_first(_inflated(packed), skip), size)

    def unpacked(self, path: Path, parts: Iterable[bytes | memoryview], size: int) -> Bytes:
        """Take `size` bytes, never more, as they come: into memory if few or wanted whole, else into a file.

        The file has no name where the system allows that, so that nothing stays of it even when the process is killed.

        Args:
            path: of the volume, for messages.
            parts: what is unpacked.
            size: bytes that the header promises.

        Raises:
            InputError: if fewer come, or the disk is too full for them.
        """
        if self.whole or size <= MOST_IN_MEMORY:
            data = np.empty(size, np.uint8)
            found = 0
            for part in _limited(parts, size):
                data[found : found + len(part)] = np.frombuffer(part, np.uint8)
                found += len(part)
            _check_complete(path, found, size)
            return MemoryBytes(data)
        folder = Path(tempfile.gettempdir()) if self.scratch is None else self.scratch
        file = self.closing.enter_context(_scratch_file(path, folder, size))
        found = 0
        for part in _limited(parts, size):
            _write(path, folder, file, part)
            found += len(part)
        _check_complete(path, found, size)
        return FileBytes(path, file)


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """Unpack a gzip or zlib stream from a file's position on, in small blocks; what follows it is passed over."""
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    packed = file.read(_BLOCK)
    while packed:
        if unpacker.eof:  # gzip files may be several streams in a row
            packed += file.read(len(_GZIP)) if len(packed) < len(_GZIP) else b""
            if not packed.startswith(_GZIP):
                return
            unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        unpacked = unpacker.decompress(packed, _BLOCK)
        if unpacked:
            yield unpacked
        packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        packed = packed or file.read(_BLOCK)


def _without_first(parts: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Leave out the first `count` bytes."""
    for part in parts:
        left = part[count:] if count > 0 else part
        count -= len(part) - len(left)
        if left:
            yield left


def _limited(parts: Iterable[bytes | memoryview], size: int) -> Iterator[bytes | memoryview]:
    """Up to `size` bytes; asks for one part more, so that a stream which ends there compares its checksum."""
    for part in parts:
        if size <= 0:
            return
        yield part[:size]
        size -= len(part)


def _check_complete(path: Path, found: int, size: int) -> None:
    if found < size:
        raise InputError(
            f"{path}: is cut off or damaged: its header declares {size} bytes of voxels, and {found} can be unpacked. "
            "Copy or export it again."
        )


def _scratch_file(path: Path, folder: Path, size: int) -> BinaryIO:
    """An empty file in a folder that has room for it."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder, but {path} must be unpacked there. Name a folder that exists.")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{path}: is compressed and larger than the memory for it, so it is unpacked to disk: that takes {size} "
            f"bytes ({size / 2**30:.1f} GiB), and {folder} has {free} bytes ({free / 2**30:.1f} GiB) free. Free some, "
            "or name another folder."
        )
    try:
        return tempfile.TemporaryFile(dir=folder, prefix=".unet3d-", buffering=0)
    except OSError as error:
        raise InputError(_not_unpacked(path, folder, error)) from error


def _write(path: Path, folder: Path, file: BinaryIO, part: bytes | memoryview) -> None:
    left = memoryview(part)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise InputError(_not_unpacked(path, folder, error)) from error


def _not_unpacked(path: Path, folder: Path, error: OSError) -> str:
    return f"{path}: could not be unpacked in {folder} ({error.strerror or error}). Name another folder."
