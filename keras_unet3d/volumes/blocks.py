"""Cutting a box into blocks that fit in little memory."""

import math
from collections.abc import Iterator
from itertools import pairwise, product

from keras_unet3d.volumes.box import Box, Triple

BLOCK_BYTES = 1 << 22
"""How much is converted or summed at once: little memory, and most of it stays in the processor's cache."""


def blocks(box: Box, voxel_bytes: int, together: Triple = (1, 1, 1), limit: int = BLOCK_BYTES) -> Iterator[Box]:
    """Boxes of at most `limit` bytes, at least one voxel, that make up `box`, each voxel in one of them.

    Args:
        box: what is cut.
        voxel_bytes: of one voxel with its channels.
        together: voxels along z, y, x that are stored, and so read, together: blocks begin at multiples of it, so that
            nothing is read twice. Only where it is itself larger than `limit` is it cut.
        limit: of a block.
    """
    size = list(together)
    for axis in (0, 1, 2):
        while size[axis] > 1 and math.prod(size) * voxel_bytes > limit:
            size[axis] = -(-size[axis] // 2)
    for axis in (2, 1, 0):
        wanted = -(-box.stop[axis] // size[axis])
        size[axis] *= max(1, min(limit // (math.prod(size) * voxel_bytes), wanted))
    ranges = [_cut(*ends) for ends in zip(box.start, box.stop, size, strict=True)]
    for (z, z_stop), (y, y_stop), (x, x_stop) in product(*ranges):
        yield Box((z, y, x), (z_stop, y_stop, x_stop))


def _cut(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Ranges from `start` to `stop` that meet at multiples of `size`."""
    edges = [start, *range((start // size + 1) * size, stop, size), stop]
    return list(pairwise(edges)) if stop > start else []
