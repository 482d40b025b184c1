"""HDF5, through h5py: one dataset, ``file.h5:dataset``, with the attributes of ilastik, pytorch-3dunet and Fiji.

``element_size_um`` is the spacing along z, y, x in µm. The axes are told by ``axistags`` (ilastik, vigra) or HDF5's own
dimension labels; without them four axes are channel, z, y, x (pytorch-3dunet). Written are z, y, x, channel, with both.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.declared import check_declared
from keras_unet3d.volumes.grid_text import GRID_KEY, grid_from_text, grid_to_text
from keras_unet3d.volumes.slabs import slabs
from keras_unet3d.volumes.suffixes import split_dataset
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Grid, Vector, Volume
from keras_unet3d.volumes.voxels import Part, as_array

NAME = "HDF5"

_SPACING = "element_size_um"
_CHANNEL, _SPACE = 1, 2
"""Vigra's types of axes."""

_CACHE_BYTES = 1 << 24
"""Unpacked chunks that are kept, for the blocks that share them."""


class _DatasetVoxels:
    """The voxels ``(z, y, x, channel)`` of a dataset, in HDF5's own number type.

    Args:
        dataset: of an open file.
        order: its axes that are z, y, x, then channels where there are some, then those of length 1.
        channels: how many.
    """

    ndim = 4

    def __init__(self, dataset: Any, order: Sequence[int], channels: int) -> None:
        self._dataset = dataset
        self._order = order
        z, y, x = order[:3]
        self.shape = (*(int(dataset.shape[axis]) for axis in (z, y, x)), channels)
        self.dtype = dataset.dtype
        self.together, self.held_bytes = (1, 1, 1), 0
        if dataset.chunks:
            self.together = dataset.chunks[z], dataset.chunks[y], dataset.chunks[x]
            # HDF5 unpacks a chunk as a whole, and its cache was seen to take up to twice what it is given.
            chunk, size = (math.prod(sizes) * self.dtype.itemsize for sizes in (dataset.chunks, dataset.shape))
            self.held_bytes = 2 * min(_CACHE_BYTES, size) + chunk

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        box = Box.of(part, self.shape)
        place = [slice(None)] * len(self._order)
        for axis, range_ in zip(self._order, box.slices, strict=False):
            place[axis] = range_
        voxels: NDArray[Any] = self._dataset[tuple(place)]
        return voxels.transpose(self._order).reshape(*box.shape, self.shape[3])


def opened(path: Path, opening: Opening) -> Volume:
    """Open ``file.h5:dataset``; the name may be left out where the file holds one dataset."""
    import h5py

    file, name = split_dataset(path)
    stored = opening.closing.enter_context(h5py.File(file, "r", rdcc_nbytes=_CACHE_BYTES))
    dataset = stored.get(name) if name else _only_dataset(file, stored)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{file}: holds no dataset {name!r}, but {_listed(stored)}. Name one of them.")
    shape = tuple(int(size) for size in dataset.shape or ())
    axes = _axes(path, dataset, shape)
    order = [axes.index(axis) for axis in (*AXES, "c") if axis in axes]
    order += [index for index in range(len(axes)) if index not in order]
    z, y, x = (shape[axes.index(axis)] for axis in AXES)
    channels = shape[axes.index("c")] if "c" in axes else 1
    check_declared(path, (z, y, x), dataset.dtype, channels=channels, held=opening.whole, floats=opening.whole)
    return Volume(as_array(_DatasetVoxels(dataset, order, channels)), _grid(path, dataset, (z, y, x)))


def write(path: Path, volume: Volume, *, labels: bool) -> None:
    """Write ``file.h5:dataset`` (``labels`` or ``image`` where it is not named) beside what the file already holds."""
    import h5py

    file, name = split_dataset(path)
    name = name or ("labels" if labels else "image")
    axes = AXES if labels else (*AXES, "c")
    with h5py.File(file, "a") as stored:
        if name in stored:
            del stored[name]
        voxels = volume.voxels
        packing = {"compression": "gzip", "compression_opts": 1} if labels else {}
        dataset = stored.create_dataset(name, shape=voxels.shape, dtype=voxels.dtype, **packing)
        for box in slabs(voxels, dataset.chunks[:3] if dataset.chunks else (1, 1, 1)):
            dataset[box.slices] = voxels[box.slices]
        for index, axis in enumerate(axes):
            dataset.dims[index].label = axis
        tags = [{"key": axis, "typeFlags": _CHANNEL if axis == "c" else _SPACE} for axis in axes]
        dataset.attrs["axistags"] = json.dumps({"axes": tags})
        dataset.attrs[GRID_KEY] = grid_to_text(volume.grid)
        if volume.grid.unit:
            dataset.attrs[_SPACING] = volume.grid.in_unit("µm").spacing


def _only_dataset(file: Path, stored: Any) -> Any:
    names = _names(stored)
    if len(names) != 1:
        example = names[0] if names else "raw"
        raise InputError(f"{file}: holds {_listed(stored)}. Name one, such as '{file}:{example}'.")
    return stored[names[0]]


def _names(stored: Any) -> list[str]:
    import h5py

    names: list[str] = []
    # Single numbers and texts that files carry along are no volumes.
    stored.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) and item.ndim else None)
    return names


def _listed(stored: Any) -> str:
    names = _names(stored)
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{len(names)} datasets ({shown})" if names else "no dataset"


def _axes(path: Path, dataset: Any, shape: tuple[int, ...]) -> str:
    """One letter per axis, each of z, y, x exactly once; c for channels."""
    axes = _tagged_axes(dataset, shape)
    if not axes and len(shape) == 4 and shape[-1] < shape[0]:
        raise InputError(
            f"{path}: its four axes of {'×'.join(map(str, shape))} are not named, and channels are expected first. "
            "Name them: dataset.dims[0].label = 'z', and so on (c for channels)."
        )
    axes = axes or {3: "zyx", 4: "czyx"}.get(len(shape), "")
    extra = [size for axis, size in zip(axes, shape, strict=False) if axis not in "zyxc"]
    if sorted(axis for axis in axes if axis in "zyx") != ["x", "y", "z"] or any(size != 1 for size in extra):
        found = " ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True)) if axes else ""
        raise InputError(
            f"{path}: has {len(shape)} axes of {found or '×'.join(map(str, shape))}; a volume has z, y, x and, where "
            "it has channels, those. Save one volume to a dataset."
        )
    return axes


def _tagged_axes(dataset: Any, shape: tuple[int, ...]) -> str:
    """The axes by name; empty where the dataset does not name them all."""
    try:
        axes = "".join(str(axis["key"]) for axis in json.loads(dataset.attrs["axistags"])["axes"])
    except (KeyError, TypeError, ValueError):
        axes = "".join(dimension.label[:1] for dimension in dataset.dims)
    axes = axes.lower()
    return axes if len(axes) == len(shape) == len(set(axes)) else ""


def _grid(path: Path, dataset: Any, shape: tuple[int, int, int]) -> Grid:
    plain = Grid(shape, placed=False)
    if _SPACING in dataset.attrs:
        plain = Grid(shape, _spacing(path, dataset.attrs[_SPACING]), unit="µm", placed=False)
    if GRID_KEY not in dataset.attrs:
        return plain
    return grid_from_text(dataset.attrs[GRID_KEY], plain, spacing_known=_SPACING in dataset.attrs)


def _spacing(path: Path, attribute: Any) -> Vector:
    values = np.ravel(np.asarray(attribute, dtype=np.float64))
    if len(values) != 3 or not np.isfinite(values).all() or not (values > 0).all():
        raise InputError(f"{path}: its {_SPACING} is {attribute}; expected three lengths, of z, y and x, in µm.")
    z, y, x = values.tolist()
    return z, y, x
