"""Writing OME-Zarr: the version that was read, else 0.5, with levels, and in shards from 0.5 on."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.grid_text import GRID_KEY, grid_to_text
from keras_unet3d.volumes.ngff import VERSIONS, Level, multiscale_attributes, ome
from keras_unet3d.volumes.pyramid import halved, halvings
from keras_unet3d.volumes.slabs import SLAB_BYTES, slabs
from keras_unet3d.volumes.suffixes import LABELS_GROUP, within_zarr
from keras_unet3d.volumes.volume import Grid, Volume
from keras_unet3d.volumes.voxels import Part, Voxels
from keras_unet3d.volumes.whole_file import written_whole
from keras_unet3d.volumes.zarr_arrays import import_zarr, read_metadata

CHUNK = 64
"""Voxels an axis of a chunk, which is what viewers read; shards are files of several."""
LONGEST_SHARD, UNSHARDED_CHUNK = 256, 128
"""Voxels an axis; a shard of bytes is as large as a slab that is written at once. Zarr 2 has no shards."""


def write(path: Path, volume: Volume, *, labels: bool, name: str = "") -> None:
    """Write an image or a label image of this name into a new, empty folder, level after level."""
    version = zarr_version(volume)
    group = import_zarr(path).open_group(str(path), mode="w", zarr_format=version)
    voxels: Voxels = volume.voxels
    channels = voxels.shape[3:]
    ranges: Sequence[Sequence[float]] = ()
    for number, (step, shape) in enumerate(level_shapes(volume.grid)):
        finer = Halved(voxels, step, labels=labels) if number else voxels
        array = create_array(group, str(number), (*channels, *shape), voxels.dtype, version)
        found = fill(array, finer, slabs(finer, _written_together(array)))
        ranges, voxels = ranges or found, Written(array)
    shown = None if labels else list(zip(volume.channels or ("",) * len(ranges), ranges, strict=True))
    group.attrs.update(attributes(path, volume, name, channels=shown))


def zarr_version(volume: Volume) -> int:
    """The version of Zarr's format that a volume is written in."""
    return next((each for each, version in VERSIONS.items() if version == volume.header), 3)


def level_shapes(grid: Grid) -> list[tuple[Triple, Triple]]:
    """Of each level, finest first: how many voxels of the one before along z, y, x become one, and its shape."""
    shapes: list[tuple[Triple, Triple]] = [((1, 1, 1), grid.shape)]
    for step in halvings(grid):
        z, y, x = (-(-length // count) for length, count in zip(shapes[-1][1], step, strict=True))
        shapes.append((step, (z, y, x)))
    return shapes


def attributes(
    path: Path, volume: Volume, name: str, *, channels: Sequence[tuple[str, Sequence[float]]] | None
) -> dict[str, Any]:
    """The attributes of an image, or of a label image, which has no `channels`."""
    labels = channels is None
    lead = 0 if labels else 1
    scale, place = np.array(volume.grid.spacing), np.array(volume.grid.origin[::-1])
    levels = []
    for number, (step, _) in enumerate(level_shapes(volume.grid)):
        place = place if labels else place + scale * (np.array(step) - 1) / 2
        scale = scale * step
        levels.append(Level(str(number), (*(1.0,) * lead, *scale.tolist()), (*(0.0,) * lead, *place.tolist())))
    return {
        **multiscale_attributes(
            name,
            levels,
            volume.grid.unit,
            version=VERSIONS[zarr_version(volume)],
            channels=channels,
            segments=volume.segments if labels else None,
            image="../../" if lies_in_image(path) else None,
        ),
        GRID_KEY: grid_to_text(volume.grid),
    }


def prepare(path: Path) -> None:
    """Make room for a label image within an image, ``brain.ome.zarr/labels/cells``; others need none.

    Raises:
        InputError: if there is no such image.
    """
    if not lies_in_image(path):
        return
    image = path.parent.parent
    version, _ = read_metadata(image)
    import_zarr(path).open_group(str(path.parent), mode="a", zarr_format=version)


def register(path: Path) -> None:
    """Name a label image that was written within an image, so that viewers find it."""
    if not lies_in_image(path):
        return
    version, told = read_metadata(path.parent)
    told_attributes = told.get("attributes", {})
    names = ome(told_attributes).get(LABELS_GROUP, ())
    if path.name in names:
        return
    listed = {LABELS_GROUP: [*names, path.name]}
    nested = {"ome": {**told_attributes.get("ome", {}), "version": VERSIONS[3], **listed}}
    told_attributes |= nested if version == 3 else listed
    file = path.parent / ("zarr.json" if version == 3 else ".zattrs")
    told = {**told, "attributes": told_attributes} if version == 3 else told_attributes
    with written_whole(file) as beside:
        beside.write_text(json.dumps(told, indent=2), encoding="utf-8")


def lies_in_image(path: Path) -> bool:
    """Whether it is the place of a label image within an image."""
    image = path.parent.parent
    return path.parent.name == LABELS_GROUP and image.is_dir() and within_zarr(image)


def create_array(
    group: Any, name: str, shape: Sequence[int], dtype: DTypeLike, version: int, shard: Sequence[int] | None = None
) -> Any:
    """Make the array of a level, ``(z, y, x)`` or ``(channel, z, y, x)``.

    Args:
        group: of the image.
        name: of the array.
        shape: of it.
        dtype: of a voxel.
        version: of Zarr's format.
        shard: voxels along z, y, x that are written together: of Zarr 2 the chunk; None decides.
    """
    channels, space, dtype = tuple(shape[:-3]), shape[-3:], np.dtype(dtype)
    options: dict[str, Any] = {}
    if version == 3:
        options["dimension_names"] = list("czyx"[-len(shape) :])
        edge = LONGEST_SHARD
        while edge > CHUNK and edge**3 * math.prod(channels) * dtype.itemsize > SLAB_BYTES:
            edge //= 2
        chunk = [min(CHUNK, length) for length in space]
        together = [min(edge, -(-length // size) * size) for length, size in zip(space, chunk, strict=True)]
        if (shard := list(shard or together)) != chunk:
            options["shards"] = (1,) * len(channels) + tuple(shard)
    else:
        options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        chunk = [min(UNSHARDED_CHUNK, length) for length in shard or space]
    options["chunks"] = (1,) * len(channels) + tuple(chunk)
    return group.create_array(name, shape=tuple(shape), dtype=dtype.newbyteorder("="), **options)


def fill(array: Any, voxels: Voxels, boxes: Iterable[Box]) -> list[list[float]]:
    """Write boxes, each of whole shards, and give the least and the largest value of each channel."""
    channels = array.shape[:-3]
    ranges = [[np.inf, -np.inf] for _ in range(math.prod(channels))]
    for box in boxes:
        part = np.moveaxis(voxels[box.slices], -1, 0) if channels else voxels[box.slices]
        array[(..., *box.slices)] = part
        for range_, channel in zip(ranges, part if channels else [part], strict=True):
            range_[:] = min(range_[0], float(channel.min())), max(range_[1], float(channel.max()))
    return ranges


def _written_together(array: Any) -> Triple:
    z, y, x = (array.shards or array.chunks)[-3:]
    return z, y, x


class Halved:
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


class Written:
    """What was written, read again: ``(z, y, x)``, or ``(z, y, x, channel)`` of an array with channels first."""

    def __init__(self, array: Any) -> None:
        self._array = array
        channels, space = array.shape[:-3], array.shape[-3:]
        self.shape, self.dtype, self.ndim = (*space, *channels), np.dtype(array.dtype), array.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        found: NDArray[Any] = np.asarray(self._array[(..., *Box.of(part, self.shape).slices)])
        return np.moveaxis(found, 0, -1) if self.ndim == 4 else found
