"""The planes of a tile, in slabs: read ahead of the network, so that neither waits for the other."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.inference.tiles import Tile
from keras_unet3d.volumes.box import Box, read_mirrored
from keras_unet3d.volumes.layers import LayeredVoxels, layer_planes
from keras_unet3d.volumes.voxels import Voxels


def read_ahead(image: Voxels, tile: Tile, slab: int | None) -> Generator[tuple[NDArray[np.float32], bool], None, None]:
    """Read what a tile reads, mirrored at the borders of the volume; the next slab is read while one is in use.

    What is stored in chunks is unpacked once, although a layer of them is read as several slabs.

    Whoever may stop before the end closes the generator (`contextlib.closing`), which ends the reading thread.

    Args:
        image: raw ``(z, y, x, channel)``; another thread reads it.
        tile: whose `read` box is read.
        slab: planes at a time; None reads all at once.

    Yields:
        Raw planes, float32 ``(z, y, x, channel)``, and whether they are the last.
    """
    first, last = tile.read.start[0], tile.read.stop[0]
    step = slab or last - first
    boxes = [
        Box((z, *tile.read.start[1:]), (min(z + step, last), *tile.read.stop[1:])) for z in range(first, last, step)
    ]

    source: Voxels = image if slab is None or layer_planes(image) == 1 else LayeredVoxels(image)

    def read(box: Box) -> NDArray[np.float32]:
        return read_mirrored(source, box).astype(np.float32, copy=False)

    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        following = reader.submit(read, boxes[0])
        for number in range(len(boxes)):
            planes = following.result()
            is_last = number + 1 == len(boxes)
            if not is_last:
                following = reader.submit(read, boxes[number + 1])
            yield planes, is_last
