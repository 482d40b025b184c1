"""Counts the voxels that go into networks, of all processes that import it, in the file that COUNTED_VOXELS names.

    COUNTED_VOXELS=/tmp/voxels python benchmarks/counting.py segment brain.ome.zarr labels.ome.zarr --part 1/4

As a program it is `unet3d`; dask's workers import it where DASK_DISTRIBUTED__WORKER__PRELOAD names it. Every slab
appends its number of voxels, so that a process that is killed has counted what it did.
"""

import os
import struct
import sys
from math import prod
from pathlib import Path
from typing import Any

from keras_unet3d.inference.network_predictor import NetworkStream

NUMBER = struct.Struct("<q")


def counted(file: Path) -> int:
    """All voxels that were counted."""
    return sum(number for (number,) in NUMBER.iter_unpack(file.read_bytes()))


def _count() -> None:
    if hasattr(NetworkStream.push, "counts"):  # multiprocessing imports the main program again
        return
    file = os.open(os.environ["COUNTED_VOXELS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    push = NetworkStream.push

    def counting(self: NetworkStream, planes: Any, *, last: bool = False) -> Any:
        os.write(file, NUMBER.pack(prod(planes.shape[:3])))
        return push(self, planes, last=last)

    counting.counts = True  # type: ignore[attr-defined]
    NetworkStream.push = counting  # type: ignore[method-assign]


if "COUNTED_VOXELS" in os.environ:
    _count()

if __name__ == "__main__":
    from unet3d_cli import main

    sys.exit(main())
