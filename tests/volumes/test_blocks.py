import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box


@given(
    start=st.tuples(*[st.integers(0, 20)] * 3),
    size=st.tuples(*[st.integers(0, 12)] * 3),
    together=st.tuples(*[st.integers(1, 9)] * 3),
    voxel_bytes=st.integers(1, 12),
    limit=st.integers(1, 2000),
)
def test_blocks_are_small_and_make_up_the_box(start, size, together, voxel_bytes, limit):
    box = Box.at(start, size)
    times = np.zeros(box.stop, int)
    for block in blocks(box, voxel_bytes, together, limit):
        assert math.prod(block.shape) * voxel_bytes <= max(limit, voxel_bytes)
        times[block.slices] += 1
    assert (times[box.slices] == 1).all()
    assert times.sum() == math.prod(size)


@given(
    start=st.tuples(*[st.integers(0, 20)] * 3),
    size=st.tuples(*[st.integers(1, 12)] * 3),
    together=st.tuples(*[st.integers(1, 5)] * 3),
    limit=st.integers(5 * 5 * 5, 2000),
)
def test_what_is_stored_together_is_read_once(start, size, together, limit):
    chunks = [
        {tuple(index // length for index, length in zip(place, together, strict=True)) for place in places(block)}
        for block in blocks(Box.at(start, size), 1, together, limit)
    ]
    assert sum(map(len, chunks)) == len(set().union(*chunks))


def places(box):
    return [tuple(np.add(index, box.start)) for index in np.ndindex(*box.shape)]


def test_rows_fill_a_block_first_then_planes():
    box = Box((0, 0, 0), (4, 3, 2))
    assert [block.shape for block in blocks(box, 1, limit=13)] == [(2, 3, 2)] * 2
    assert [block.shape for block in blocks(box, 1, limit=4)] == [(1, 2, 2), (1, 1, 2)] * 4
