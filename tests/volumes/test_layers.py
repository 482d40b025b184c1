"""Of voxels that are stored in chunks, each layer is unpacked once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.inference.slabs import read_ahead
from keras_unet3d.inference.tiles import one_tile
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes import layers
from keras_unet3d.volumes.layers import LayeredVoxels, column_bytes, layer_planes

SHAPE = (50, 5, 4)


class Chunked:
    """Voxels in chunks of so many planes, which remembers what was read."""

    ndim, dtype, shape = 4, np.dtype(np.uint16), (*SHAPE, 2)

    def __init__(self, planes):
        self.together, self.read = (planes, 2, 2), []

    def __getitem__(self, part):
        self.read.append((part[0].start, part[0].stop))
        return np.arange(np.prod(self.shape), dtype=self.dtype).reshape(self.shape)[part]


def ranges(length):
    return st.tuples(*[st.integers(0, length)] * 2).map(sorted).map(lambda ends: slice(*ends))


@given(st.lists(st.tuples(*map(ranges, SHAPE)), min_size=1, max_size=6), st.integers(1, 60))
def test_what_is_read_is_what_is_there(parts, planes):
    image = Chunked(planes)
    layered = LayeredVoxels(image)
    for part in parts:
        np.testing.assert_array_equal(layered[part], image[part])


@pytest.mark.parametrize("slab", [1, 3, 8, 20, 100])
def test_slabs_of_a_tile_unpack_every_layer_once(slab):
    image = Chunked(16)
    tile = one_tile(SHAPE, Geometry("valid", 1))[0]
    whole = Chunked(1)[0:50,]
    found, expected = (
        np.concatenate([planes for planes, _ in read_ahead(voxels, tile, slab)]) for voxels in (image, whole)
    )
    np.testing.assert_array_equal(found, expected)
    assert image.read[:4] == [(0, 16), (16, 32), (32, 48), (48, 50)]
    # At the end planes are mirrored in, some of them from the layer before the last.
    assert set(image.read[4:]) <= {(32, 48), (48, 50)}
    assert len(image.read) <= 7


def test_thick_chunks_are_kept_in_parts():
    assert [layer_planes(Chunked(planes)) for planes in (1, 16, 64, 100, 128, 500)] == [1, 16, 64, 50, 64, 63]
    assert layers.THICKEST == 64


def test_what_is_kept_is_known_beforehand():
    assert column_bytes(Chunked(16)) == 16 * 2 * 2
    assert column_bytes(Chunked(1)) == 0
    assert column_bytes(np.zeros(SHAPE)) == 0
