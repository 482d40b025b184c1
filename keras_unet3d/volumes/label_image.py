"""An OME-Zarr label image that several processes write, part by part, in any order and any number of times."""

import math
import os
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike, NDArray

from keras_unet3d.errors import InputError, WorkError, writing
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.ome_zarr_writing import (
    CHUNK,
    LONGEST_SHARD,
    UNSHARDED_CHUNK,
    Halved,
    Written,
    attributes,
    create_array,
    fill,
    level_shapes,
    prepare,
    register,
    zarr_version,
)
from keras_unet3d.volumes.slabs import SLAB_BYTES
from keras_unet3d.volumes.suffixes import stem_of
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.whole_file import flush
from keras_unet3d.volumes.zarr_arrays import chunk_file, import_zarr, read_metadata

MANY_SHARDS = 50_000
"""Above so many files of a level, shards become longer along z."""

_MADE_OF = "keras_unet3d_made_of"


class LabelImage:
    """The levels of a label image in a folder that nobody sees yet.

    A block is written in layers of whole shards. Once all its layers are there, `halve` writes what it is at the lower
    levels whose shards it covers; `finish` writes the others, of which there is little, and moves the image to its
    place.

    Attributes:
        blockwise: how many levels, from the finest on, blocks write.
    """

    def __init__(self, folder: Path) -> None:
        """Open what `create` has made."""
        self._folder = folder
        version, told = read_metadata(folder)
        told = told["attributes"].get("unfinished", {"steps": [], "blockwise": 0})  # of which nothing is to be written
        self._steps: list[Triple] = [(z, y, x) for z, y, x in told["steps"]]
        self.blockwise: int = told["blockwise"]
        group = import_zarr(folder).open_group(str(folder), mode="r+", zarr_format=version)
        self._arrays = [group[str(number)] for number in range(len(self._steps))]
        self._version = version

    @classmethod
    def create(cls, folder: Path, output: Path, labels: Volume, dtype: DTypeLike, block: Triple) -> None:
        """Make a label image without labels; one that another process has made meanwhile stays.

        Args:
            folder: that is made.
            output: the place that the image will have.
            labels: its grid, segments and header; the voxels are not looked at.
            dtype: of labels.
            block: voxels of blocks along z, y, x: each begins at a multiple of it. As long as the volume where there is
                one.

        Raises:
            WorkError: if it cannot be written.
        """
        beside = folder.with_name(f"{folder.name}-{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        version = zarr_version(labels)
        levels = level_shapes(labels.grid)
        scale: tuple[int, ...] = (1, 1, 1)
        blockwise, shards = 0, []
        for step, shape in levels:
            scale = tuple(factor * count for factor, count in zip(scale, step, strict=True))
            shard = _shard(shape, block, labels.grid.shape, scale, version)
            shards.append(shard)
            if shard is not None and blockwise == len(shards) - 1:
                blockwise += 1
        told = {"steps": [step for step, _ in levels], "blockwise": blockwise}
        final = attributes(output, labels, stem_of(output), channels=None)
        with writing(folder):
            group = import_zarr(output).open_group(str(beside), mode="w", zarr_format=version)
            for number, (_, shape) in enumerate(levels):
                create_array(group, str(number), shape, dtype, version, shards[number] if number < blockwise else None)
            group.attrs.update({**final, "unfinished": told})
        try:
            beside.replace(folder)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            if not folder.exists():
                raise WorkError(f"{folder}: could not be made ({error.strerror or error}).") from error

    @property
    def shards(self) -> list[Triple]:
        """Voxels along z, y, x of what is one file, of each level."""
        return [_together(array) for array in self._arrays]

    @property
    def layer(self) -> int:
        """Planes of a shard."""
        return self.shards[0][0]

    def write(self, box: Box, labels: NDArray[Any]) -> None:
        """Write labels ``(z, y, x)`` of whole shards, and wait until they are on the disk.

        Raises:
            WorkError: if they cannot be written.
        """
        with writing(self._folder):
            self._arrays[0][box.slices] = labels
            self._flush(0, box)

    def halve(self, box: Box) -> None:
        """Write the lower levels of a block whose labels are all there, and wait until they are on the disk.

        Raises:
            WorkError: if they cannot be written.
        """
        for number in range(1, self.blockwise):
            z, y, x = self._steps[number]
            box = Box(
                (box.start[0] // z, box.start[1] // y, box.start[2] // x),
                (-(-box.stop[0] // z), -(-box.stop[1] // y), -(-box.stop[2] // x)),
            )
            self._fill(number, box)

    def finish(self, output: Path, made_of: Any) -> None:
        """Write the levels that blocks did not, and move the image to its place.

        Args:
            output: its place.
            made_of: for `made_of`, to find out later what it was made of.

        Raises:
            InputError: if something is there by now.
            WorkError: if it cannot be written or moved.
        """
        for number in range(max(self.blockwise, 1), len(self._steps)):
            depth, height, width = self._arrays[number].shape
            self._fill(number, Box((0, 0, 0), (depth, height, width)))
        with writing(self._folder):
            group = import_zarr(output).open_group(str(self._folder), mode="r+", zarr_format=self._version)
            told = {name: each for name, each in group.attrs.items() if name != "unfinished"}
            group.attrs.put({**told, _MADE_OF: made_of})
            for metadata in (*self._folder.glob("*"), *self._folder.glob("*/*")):
                if metadata.is_file():
                    flush(metadata)
        prepare(output)
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise InputError(f"{output}: exists already. Remove it first: its labels are whole, in {self._folder}.")
        with writing(output):
            if output.exists():
                output.rmdir()
            self._folder.replace(output)
        register(output)

    def _fill(self, number: int, box: Box) -> None:
        array = self._arrays[number]
        finer = Halved(Written(self._arrays[number - 1]), self._steps[number], labels=True)
        with writing(self._folder):
            fill(array, finer, blocks(box, array.dtype.itemsize, _together(array), SLAB_BYTES))
            self._flush(number, box)

    def _flush(self, number: int, box: Box) -> None:
        """Make sure that the shards of a box are on the disk itself; those of which all voxels are 0 have no file."""
        ranges = (
            range(start // size, -(-stop // size))
            for start, stop, size in zip(box.start, box.stop, self.shards[number], strict=True)
        )
        for place in product(*ranges):
            file = chunk_file(self._folder / str(number), self._arrays[number], place)
            if file.exists():
                flush(file)


def made_of(path: Path) -> Any:
    """What a label image was made of, as `LabelImage.finish` was told; None, if that is not known."""
    try:
        return read_metadata(path)[1]["attributes"][_MADE_OF]
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def _together(array: Any) -> Triple:
    z, y, x = array.shards or array.chunks
    return int(z), int(y), int(x)


def _shard(shape: Triple, block: Triple, volume: Triple, scale: Sequence[int], version: int) -> Triple | None:
    """Voxels along z, y, x that are written together at a level, None where blocks do not cover whole ones."""
    edges = [LONGEST_SHARD, UNSHARDED_CHUNK, CHUNK] if version == 3 else [UNSHARDED_CHUNK, CHUNK]
    shard = []
    for length, size, whole, factor in zip(shape, block, volume, scale, strict=True):
        fitting = [edge for edge in edges if size >= whole or size % (edge * factor) == 0]
        if not fitting:
            return None
        chunk = min(CHUNK, length)
        shard.append(min(fitting[0], -(-length // chunk) * chunk))
    z, y, x = shard
    if version == 3:
        longest, z = z, min(z, CHUNK)
        while 2 * z <= longest and math.prod(shape) > MANY_SHARDS * z * y * x:
            z *= 2
    return z, y, x
