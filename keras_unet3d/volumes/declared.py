"""What a header promises, checked before memory is taken for it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named

DEFLATE = 1032
"""No byte of a gzip or zlib stream unpacks to more than this many (https://zlib.net/zlib_tech.html)."""


def check_declared(
    path: Path,
    shape: Sequence[int],
    dtype: Any,
    *,
    channels: int = 1,
    stored: int | None = None,
    packing: int = 1,
    held: bool = True,
    floats: bool = True,
) -> None:
    """Refuse a volume with an empty axis, one larger than its file can hold, and one that does not fit in memory.

    Args:
        path: the file, for the message.
        shape: voxels along z, y, x as the header declares them.
        dtype: of a voxel in the file.
        channels: numbers per voxel.
        stored: bytes that the file has for voxels; None where that is unknown.
        packing: how many bytes one stored byte unpacks to at most.
        held: whether all voxels will be in memory as they are in the file.
        floats: whether all voxels will be in memory as float32.

    Raises:
        InputError: for any of the three.
    """
    if any(size < 1 for size in (*shape, channels)):
        raise InputError(
            f"{path}: has no voxels ({named(shape)}, {channels} channels). Export the volume again, with at least one "
            "voxel along every axis."
        )
    numbers = math.prod(int(size) for size in shape) * int(channels)
    promised = numbers * np.dtype(dtype).itemsize
    if stored is not None and promised > stored * packing:
        raise InputError(
            f"{path}: is cut off or damaged: its header declares {named(shape)}, {promised} bytes, which its {stored} "
            "stored bytes cannot hold. Copy or export it again."
        )
    check_memory(path, shape, promised * held + numbers * np.dtype(np.float32).itemsize * floats)


def check_memory(path: Path, shape: Sequence[int], needed: int) -> None:
    """Refuse what takes more memory, in bytes, than there is.

    Raises:
        InputError: naming both amounts.
    """
    if not needed:
        return
    import psutil

    available = psutil.virtual_memory().available
    if needed > available:
        raise InputError(
            f"{path}: {named(shape)} takes {needed / 2**30:.1f} GiB to read, and {available / 2**30:.1f} GiB of memory "
            "are free. Crop or downsample it, or use a machine with more memory."
        )
