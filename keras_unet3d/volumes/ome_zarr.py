"""OME-Zarr, through zarr-python: an image at several resolutions in a folder, ``brain.ome.zarr``.

Read are OME-NGFF 0.4 and 0.5; ``brain.ome.zarr/2`` is its array ``2``, a coarser level, and
``brain.ome.zarr/labels/cells`` a label image that lies in it. Written is the version that was read, else 0.5, with
levels down to `pyramid.COARSEST` voxels an axis, and in shards from 0.5 on.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.declared import check_declared, check_memory
from keras_unet3d.volumes.grid_text import GRID_KEY, grid_from_text, grid_to_text
from keras_unet3d.volumes.ngff import (
    VERSIONS,
    Level,
    Multiscale,
    multiscale_attributes,
    ome,
    read_multiscale,
    read_segments,
)
from keras_unet3d.volumes.pyramid import halved, halvings
from keras_unet3d.volumes.slabs import SLAB_BYTES, slabs
from keras_unet3d.volumes.suffixes import LABELS_GROUP
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Grid, Volume
from keras_unet3d.volumes.voxels import Part, Voxels, as_array
from keras_unet3d.volumes.whole_file import written_whole
from keras_unet3d.volumes.zarr_arrays import import_zarr, open_array, read_metadata

NAME = "OME-Zarr"
_CHUNK, _SHARD, _UNSHARDED_CHUNK = 64, 256, 128
"""Voxels an axis; a shard of bytes is as large as a slab that is written at once."""


class _ArrayVoxels:
    """The voxels ``(z, y, x, channel)`` of an array, in its own number type.

    Args:
        array: of zarr-python.
        order: its axes that are z, y, x, then channels where there are some, then time.
        channels: how many.
    """

    ndim = 4

    def __init__(self, array: Any, order: Sequence[int], channels: int) -> None:
        self._array, self._order = array, order
        z, y, x = (int(array.shape[axis]) for axis in order[:3])
        self.shape = (z, y, x, channels)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        z, y, x = (min(int(array.chunks[axis]), int(array.shape[axis])) for axis in order[:3])
        self.together = z, y, x
        self.held_bytes = 0

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
    grid = Grid(
        (z, y, x),
        multiscale.lengths(level.scale),
        multiscale.lengths(level.translation)[::-1],
        unit=multiscale.unit,
        placed=multiscale.placed,
    )
    if GRID_KEY in attributes and level is multiscale.levels[0]:
        grid = grid_from_text(attributes[GRID_KEY], grid)
    names = multiscale.channels if len(multiscale.channels) == channels else ()
    voxels = as_array(_ArrayVoxels(array, order, channels))
    return Volume(voxels, grid, channels=names, segments=read_segments(attributes), header=VERSIONS[version])


def write(path: Path, volume: Volume, *, labels: bool, name: str = "") -> None:
    """Write an image or a label image of this name into a new, empty folder, level after level."""
    zarr = import_zarr(path)
    version = next((each for each, version in VERSIONS.items() if version == volume.header), 3)
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    scale, place = np.array(volume.grid.spacing), np.array(volume.grid.origin[::-1])
    voxels: Voxels = volume.voxels
    lead = 0 if labels else 1
    levels: list[Level] = []
    ranges: Sequence[Sequence[float]] = ()
    for number, step in enumerate([(1, 1, 1), *halvings(volume.grid)]):
        if number:
            voxels = _Halved(voxels, step, labels=labels)
            place = place if labels else place + scale * (np.array(step) - 1) / 2
            scale = scale * step
        levels.append(Level(str(number), (*(1.0,) * lead, *scale.tolist()), (*(0.0,) * lead, *place.tolist())))
        voxels = written = _written(group, str(number), voxels, version)
        ranges = ranges or written.ranges
    group.attrs.update(
        {
            **multiscale_attributes(
                name,
                levels,
                volume.grid.unit,
                version=VERSIONS[version],
                channels=None if labels else list(zip(volume.channels or ("",) * len(ranges), ranges, strict=True)),
                segments=volume.segments if labels else None,
                image="../../" if _lies_in_image(path) else None,
            ),
            GRID_KEY: grid_to_text(volume.grid),
        }
    )


def prepare(path: Path) -> None:
    """Make room for a label image within an image, ``brain.ome.zarr/labels/cells``; others need none.

    Raises:
        InputError: if there is no such image.
    """
    if not _lies_in_image(path):
        return
    image = path.parent.parent
    version, _ = read_metadata(image)
    import_zarr(path).open_group(str(path.parent), mode="a", zarr_format=version)


def register(path: Path) -> None:
    """Name a label image that was written within an image, so that viewers find it."""
    if not _lies_in_image(path):
        return
    version, told = read_metadata(path.parent)
    attributes = told.get("attributes", {})
    names = [*ome(attributes).get(LABELS_GROUP, ()), path.name]
    listed = {LABELS_GROUP: list(dict.fromkeys(names))}
    attributes |= {"ome": {**attributes.get("ome", {}), "version": VERSIONS[3], **listed}} if version == 3 else listed
    file = path.parent / ("zarr.json" if version == 3 else ".zattrs")
    told = {**told, "attributes": attributes} if version == 3 else attributes
    with written_whole(file) as beside:
        beside.write_text(json.dumps(told, indent=2), encoding="utf-8")


def _lies_in_image(path: Path) -> bool:
    return path.parent.name == LABELS_GROUP and path.parent.parent.is_dir()


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


def _check_chunk(path: Path, array: Any) -> None:
    """A chunk is unpacked as a whole: one that is as large as it claims must fit."""
    check_memory(path, array.chunks, math.prod(array.chunks) * np.dtype(array.dtype).itemsize)


class _Halved:
    """Voxels ``(z, y, x)`` or ``(z, y, x, channel)`` at a lower resolution, computed as they are read."""

    def __init__(self, voxels: Voxels, step: Triple, *, labels: bool) -> None:
        self._voxels, self._step, self._labels = voxels, step, labels
        lengths = (-(-length // count) for length, count in zip(voxels.shape, step, strict=False))
        self.shape = (*lengths, *voxels.shape[3:])
        self.dtype, self.ndim = voxels.dtype, voxels.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        box = Box.of(part, self.shape)
        coarse = np.empty((*box.shape, *self.shape[3:]), self.dtype)
        voxel_bytes = math.prod(self._step) * math.prod(self.shape[3:]) * self.dtype.itemsize
        for block in blocks(box, voxel_bytes, limit=SLAB_BYTES):
            finer = tuple(
                slice(start * count, stop * count)
                for start, stop, count in zip(block.start, block.stop, self._step, strict=True)
            )
            there = block.shifted([-start for start in box.start]).slices
            coarse[there] = halved(self._voxels[finer], self._step, labels=self._labels)
        return coarse


class _Written:
    """What was written, read again: ``(z, y, x)``, or ``(z, y, x, channel)`` of an array with channels first.

    Attributes:
        ranges: least and largest value of each channel.
    """

    def __init__(self, array: Any, ranges: Sequence[Sequence[float]]) -> None:
        self._array, self.ranges = array, ranges
        channels, space = array.shape[:-3], array.shape[-3:]
        self.shape, self.dtype, self.ndim = (*space, *channels), np.dtype(array.dtype), array.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        found: NDArray[Any] = np.asarray(self._array[(..., *Box.of(part, self.shape).slices)])
        return np.moveaxis(found, 0, -1) if self.ndim == 4 else found


def _written(group: Any, name: str, voxels: Voxels, version: int) -> _Written:
    """Write a level, box by box, each of whole chunks."""
    space, channels = voxels.shape[:3], voxels.shape[3:]
    axes = "czyx"[-voxels.ndim :]
    chunk = tuple(min(_CHUNK if version == 3 else _UNSHARDED_CHUNK, length) for length in space)
    options: dict[str, Any] = {"chunks": (1,) * len(channels) + chunk}
    if version == 3:
        options["dimension_names"] = list(axes)
        edge = _SHARD
        while edge > _CHUNK and edge**3 * math.prod(channels) * voxels.dtype.itemsize > SLAB_BYTES:
            edge //= 2
        shard = tuple(min(edge, -(-length // size) * size) for length, size in zip(space, chunk, strict=True))
        if shard != chunk:
            options["shards"] = (1,) * len(channels) + shard
    else:
        options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    array = group.create_array(name, shape=(*channels, *space), dtype=voxels.dtype.newbyteorder("="), **options)
    z, y, x = (array.shards or array.chunks)[-3:]
    ranges = [[np.inf, -np.inf] for _ in range(math.prod(channels))]
    for box in slabs(voxels, (z, y, x)):
        part = voxels[box.slices]
        array[(..., *box.slices)] = np.moveaxis(part, -1, 0) if channels else part
        for range_, channel in zip(ranges, np.moveaxis(part, -1, 0) if channels else [part], strict=True):
            range_[:] = min(range_[0], float(channel.min())), max(range_[1], float(channel.max()))
    return _Written(array, ranges)
