"""Slabs are read ahead, in order, by one thread that ends."""

import threading
from contextlib import closing

import numpy as np
import pytest

from keras_unet3d.inference.slabs import read_ahead
from keras_unet3d.inference.tiles import one_tile
from keras_unet3d.network.sizes import Geometry

SHAPE = (5, 4, 3)
TILE = one_tile(SHAPE, Geometry("valid", 1))[0]


class Watched:
    """Voxels that tell of each read; reading beyond `planes` planes fails."""

    ndim, dtype, shape = 4, np.dtype(np.uint8), (*SHAPE, 1)

    def __init__(self, fails_at=100):
        self.reads, self.threads, self._fails_at = 0, set(), fails_at

    def __getitem__(self, part):
        self.reads += 1
        self.threads.add(threading.current_thread())
        if self.reads >= self._fails_at:
            raise OSError("disk gone")
        return np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(*SHAPE, 1)[part]


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("read")]


@pytest.mark.parametrize("slab", [None, 1, 4, 100])
def test_all_planes_come_in_order_mirrored_as_float32(slab):
    image = Watched()
    pieces = list(read_ahead(image, TILE, slab))
    around = [(-low, high - n) for low, high, n in zip(TILE.read.start, TILE.read.stop, SHAPE, strict=True)]
    mirrored = np.pad(Watched()[:, :, :], [*around, (0, 0)], mode="symmetric" if min(SHAPE) == 1 else "reflect")
    np.testing.assert_array_equal(np.concatenate([planes for planes, _ in pieces]), mirrored)
    assert all(planes.dtype == np.float32 for planes, _ in pieces)
    assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert threading.main_thread() not in image.threads
    assert readers() == []


def test_a_read_that_fails_raises_where_the_slab_is_wanted():
    with pytest.raises(OSError, match="disk gone"):
        list(read_ahead(Watched(fails_at=3), TILE, 1))
    assert readers() == []


def test_stopping_early_ends_the_reading_thread():
    image = Watched()
    with closing(read_ahead(image, TILE, 1)) as slabs:
        next(slabs)
        assert len(readers()) == 1
    assert readers() == []
    assert image.reads < TILE.read.shape[0]
