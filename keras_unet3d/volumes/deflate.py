"""One gzip or zlib stream, packed block by block on every core: deflated blocks that end on a whole byte join up.

Formats: RFC 1950 (zlib), RFC 1951 (deflate), RFC 1952 (gzip).
"""

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Literal

_BLOCK_BYTES = 1 << 20
"""Large against the 32 KiB that deflate looks back, so that blocks on their own are hardly longer than one stream."""

_MOST_THREADS = 8
"""Each has two blocks waiting, which take memory."""

_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""No name, no time, of an unknown system: the same voxels make the same file."""
_ZLIB_HEAD = b"\x78\x01"
_END = b"\x03\x00"
"""An empty block, marked as the last one."""


def write_deflated(
    file: BinaryIO, parts: Iterable[memoryview], *, container: Literal["gzip", "zlib"], level: int
) -> None:
    """Write bytes as one compressed stream.

    Args:
        file: where to, from its current position on.
        parts: the bytes, in their order; asked for as they are needed.
        container: what surrounds the deflated bytes.
        level: of zlib, 1 (fast) to 9 (small).
    """
    summed = zlib.crc32 if container == "gzip" else zlib.adler32
    checksum, length = summed(b""), 0
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    waiting: deque[Future[bytes]] = deque()
    file.write(_GZIP_HEAD if container == "gzip" else _ZLIB_HEAD)
    with ThreadPoolExecutor(threads) as pool:
        for block in _blocks(parts):
            waiting.append(pool.submit(_deflated, block, level))
            checksum, length = summed(block, checksum), length + len(block)
            if len(waiting) > 2 * threads:
                file.write(waiting.popleft().result())
        file.writelines(done.result() for done in waiting)
    file.write(_END)
    file.write(struct.pack("<II", checksum, length % 2**32) if container == "gzip" else struct.pack(">I", checksum))


def _blocks(parts: Iterable[memoryview]) -> Iterator[memoryview]:
    for part in parts:
        for start in range(0, len(part), _BLOCK_BYTES):
            yield part[start : start + _BLOCK_BYTES]


def _deflated(block: memoryview, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(block) + packer.flush(zlib.Z_SYNC_FLUSH)
