"""OME-Zarr, through zarr-python: an image at several resolutions in a folder, ``brain.ome.zarr``.

Read are OME-NGFF 0.4 and 0.5; ``brain.ome.zarr/2`` is its array ``2``, a coarser level, and
``brain.ome.zarr/labels/cells`` a label image that lies in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.declared import check_declared, check_memory
from keras_unet3d.volumes.grid_text import GRID_KEY, grid_from_text
from keras_unet3d.volumes.ngff import (
    VERSIONS,
    Level,
    Multiscale,
    ome,
    read_multiscale,
    read_segments,
)
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Grid, Volume
from keras_unet3d.volumes.voxels import Part, as_array
from keras_unet3d.volumes.zarr_arrays import chunk_places, open_array, read_metadata
from keras_unet3d.wording import counted

NAME = "OME-Zarr"


class _ArrayVoxels:
    """The voxels ``(z, y, x, channel)`` of an array, in its own number type.

    Args:
        array: of zarr-python.
        order: its axes that are z, y, x, then channels where there are some, then time.
        channels: how many.
        folder: of the array.

    Attributes:
        empty_value: of what was never written.
    """

    ndim = 4

    def __init__(self, array: Any, order: Sequence[int], channels: int, folder: Path) -> None:
        self._array, self._order, self._folder = array, order, folder
        self.empty_value = array.fill_value or 0
        z, y, x = (int(array.shape[axis]) for axis in order[:3])
        self.shape = (z, y, x, channels)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        z, y, x = (min(int(array.chunks[axis]), int(array.shape[axis])) for axis in order[:3])
        self.together = z, y, x
        self.held_bytes = 0

    def written(self) -> Iterator[Box]:
        """Boxes of the files that are there, chunks or shards, of all channels: all else is `empty_value`."""
        sizes = self._array.shards or self._array.chunks
        size = [sizes[axis] for axis in self._order[:3]]
        places = chunk_places(self._folder, self._array)
        for place in sorted({tuple(place[axis] for axis in self._order[:3]) for place in places}):
            yield Box.at([a * b for a, b in zip(place, size, strict=True)], size).clipped(self.shape[:3])

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        box = Box.of(part, self.shape)
        place = [slice(None)] * len(self._order)
        for axis, range_ in zip(self._order, box.slices, strict=False):
            place[axis] = range_
        voxels: NDArray[Any] = np.asarray(self._array[tuple(place)])
        return voxels.transpose(self._order).reshape(*box.shape, self.shape[3]).astype(self.dtype, copy=False)


def opened(path: Path, opening: Opening) -> Volume:
    """Open an image's finest level, or the one that is named.

    Raises:
        InputError: if zarr-python is not installed, or the folder holds no such image, or several.
    """
    group, name = _group(path)
    version, told = read_metadata(group)
    attributes = told.get("attributes", {})
    multiscale = _multiscale(path, group, attributes)
    level = _level(path, multiscale, name)
    array = open_array(path, group / level.path)
    if len(array.shape) != len(multiscale.axes):
        raise InputError(
            f"{path}: has an array of {len(array.shape)} axes, and its metadata names {len(multiscale.axes)}. Write it "
            "again."
        )
    order = multiscale.order
    z, y, x = (int(array.shape[axis]) for axis in order[:3])
    size = dict(zip((axis.name for axis in multiscale.axes), map(int, array.shape), strict=True))
    if size.get("t", 1) != 1:
        raise InputError(f"{path}: has {size['t']} time points; a volume is one. Write each to an image of its own.")
    channels = size.get("c", 1)
    check_declared(path, (z, y, x), array.dtype, channels=channels, held=opening.whole, floats=opening.whole)
    _check_chunk(path, array)
    grid = _plain_grid(multiscale, level, array)
    if GRID_KEY in attributes:
        grid = _told_grid(path, group, multiscale, level, grid, attributes[GRID_KEY])
    names = multiscale.channels if len(multiscale.channels) == channels else ()
    voxels = as_array(_ArrayVoxels(array, order, channels, group / level.path))
    return Volume(voxels, grid, channels=names, segments=read_segments(attributes), header=VERSIONS[version])


def level_path(path: Path, number: int) -> Path:
    """The path of an image's level, by its number, 0 for the finest.

    Raises:
        InputError: if it has none of that number, or the path names a level already.
    """
    group, name = _group(path)
    _, told = read_metadata(group)
    levels = _multiscale(path, group, told.get("attributes", {})).levels
    if name is not None:
        raise InputError(f"{path}: names a level already. Leave out --level, or name the image, {group}.")
    if not 0 <= number < len(levels):
        raise InputError(
            f"{path}: has {counted(len(levels), 'level')}, counted from 0, the finest. Received: --level {number}"
        )
    return group / levels[number].path


def _group(path: Path) -> tuple[Path, str | None]:
    """The group of an image, and the array in it that the path names, if it does."""
    version, told = read_metadata(path)
    is_array = "shape" in told
    if not is_array:
        attributes = ome(told.get("attributes", {}))
        series = path / "0"  # bioformats2raw puts each image of a file into a group of its own
        if "multiscales" not in attributes and "bioformats2raw.layout" in attributes and not (path / "1").exists():
            return _group(series)
        return path, None
    for group in list(path.parents)[:3]:
        try:
            found, told = read_metadata(group)
        except InputError:
            continue
        if found == version and "multiscales" in ome(told.get("attributes", {})):
            return group, path.relative_to(group).as_posix()
    raise InputError(
        f"{path}: is a Zarr array without the metadata of OME-Zarr, which tell its axes and its spacing. Name an "
        "OME-Zarr image, or save it as HDF5 with named axes."
    )


def _multiscale(path: Path, group: Path, attributes: Any) -> Multiscale:
    told = ome(attributes)
    if "multiscales" not in told:
        inside = sorted(entry.name for entry in group.iterdir() if entry.is_dir())
        names = (", ".join(inside[:8]) or "nothing") + (", …" if len(inside) > 8 else "")
        raise InputError(
            f"{path}: is a Zarr group, but no OME-Zarr image: its metadata names no multiscales. It holds {names}. "
            f"Name an image in it, such as {group / (inside[0] if inside else 'image')}."
        )
    try:
        return read_multiscale(attributes)
    except ValueError as error:
        raise InputError(f"{path}: cannot be read as a volume: {error}.") from error


def _level(path: Path, multiscale: Multiscale, name: str | None) -> Level:
    if name is None:
        return multiscale.levels[0]
    found = [level for level in multiscale.levels if level.path == name]
    if not found:
        raise InputError(f"{path}: is no level of its image; those are {', '.join(e.path for e in multiscale.levels)}.")
    return found[0]


def _plain_grid(multiscale: Multiscale, level: Level, array: Any) -> Grid:
    """The grid of a level by the metadata."""
    z, y, x = (int(array.shape[axis]) for axis in multiscale.order[:3])
    return Grid(
        (z, y, x),
        multiscale.lengths(level.scale),
        multiscale.lengths(level.translation)[::-1],
        unit=multiscale.unit,
        placed=multiscale.placed,
    )


def _told_grid(path: Path, group: Path, multiscale: Multiscale, level: Level, plain: Grid, text: object) -> Grid:
    """The grid of a level, turned as that of the finest is by the line beside the metadata, which know no directions.

    Their translations are along the axes of the voxels.
    """
    finest = multiscale.levels[0]
    if level is finest:
        return grid_from_text(text, plain)
    first = _plain_grid(multiscale, finest, open_array(path, group / finest.path))
    turned = grid_from_text(text, first)
    moved = np.array(turned.direction) @ (np.array(plain.origin) - np.array(first.origin))
    a, b, c = (float(value) for value in np.array(turned.origin) + moved)
    return replace(plain, origin=(a, b, c), direction=turned.direction, placed=turned.placed)


def _check_chunk(path: Path, array: Any) -> None:
    """A chunk is unpacked as a whole: one that is as large as it claims must fit."""
    check_memory(path, array.chunks, math.prod(array.chunks) * np.dtype(array.dtype).itemsize)
