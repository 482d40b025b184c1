"""The smallest honest number type of a label map."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.slabs import in_slabs
from keras_unet3d.volumes.voxels import Voxels

_TYPES = (np.uint8, np.uint16, np.int16, np.int32)


def narrowed(path: Path, voxels: NDArray[Any]) -> NDArray[Any]:
    """Labels in the type that `label_type` says.

    Raises:
        InputError: if a value is beyond int32.
    """
    return voxels.astype(label_type(path, voxels), copy=False)


def label_type(path: Path, voxels: Voxels) -> np.dtype[Any]:
    """A type that every format holds.

    Integers of up to 32 bits with a sign, or 16 without, keep theirs, and are not read for it; truth values, larger
    integers and floats (which must be whole) get the first of uint8, uint16, int16 and int32 that holds them.

    Raises:
        InputError: if a value is beyond int32.
    """
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= (4 if voxels.dtype.kind == "i" else 2):
        return voxels.dtype.newbyteorder("=")
    ranges = [(slab.min(), slab.max()) for slab in in_slabs(voxels)]
    low, high = min(first for first, _ in ranges), max(last for _, last in ranges)
    for kind in _TYPES:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise InputError(f"{path}: has labels from {low:g} to {high:g}; at most {np.iinfo(np.int32).max} can be written.")
