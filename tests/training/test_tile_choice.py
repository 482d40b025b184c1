"""Training tiles lie, and are shaped, where the labels are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training.sampling import Sampler, TrainingVolume
from keras_unet3d.training.tile_choice import PAPER_TILE, choose_tile, labelled_voxels, usual_tile

VALID, SAME = Geometry("valid"), Geometry("same")
LIMIT = 128_000


def volume(shape, slices=None):
    """Labelled in some slices, or everywhere."""
    class_index = np.full(shape, 0 if slices is None else -1, np.int16)
    for axis, at in (slices or {}).items():
        np.moveaxis(class_index, axis, 0)[list(at)] = 0
    return TrainingVolume("a", np.zeros((*shape, 1), np.float32), class_index, (1, 1, 1))


def size(geometry):
    return NetworkSize(geometry, 16, 1, 2)


def test_where_every_voxel_is_labelled_it_is_the_usual_one():
    dense = volume((130, 150, 150))
    choice = choose_tile([dense], (1, 1, 1), size(VALID))
    assert (choice.tile, choice.gain) == (PAPER_TILE, 1.0)
    assert choice.labelled == 44 * 44 * 28


def test_a_volume_that_fits_into_a_tile_is_learned_whole():
    assert usual_tile((36, 50, 35), (1, 1, 1), SAME, LIMIT) == (40, 56, 40)


@pytest.mark.parametrize("geometry", [VALID, Geometry("valid", 3, (2, 0, 0))])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_one_orientation_get_tiles_that_lie_along_them(geometry, axis):
    """One slice in sixty: a tile that is thin across them holds more of it for the same work."""
    sparse = volume((150, 150, 150), {axis: range(10, 150, 60)})
    choice = choose_tile([sparse], (1, 1, 1), size(geometry))
    returned = geometry.output_lengths(choice.tile)
    assert choice.gain > 1.1
    assert returned[axis] == min(returned)
    assert size(geometry).flop(choice.tile) <= size(geometry).flop(choice.usual)


@given(st.tuples(*[st.integers(6, 24)] * 3), st.tuples(*[st.integers(1, 30)] * 3), st.integers(0, 100))
def test_what_is_counted_is_what_the_sampler_would_place(shape, tile, seed):
    rng = np.random.default_rng(seed)
    class_index = np.where(rng.random(shape) < 0.2, 0, -1).astype(np.int16)
    class_index[0, 0, 0] = 0
    case = TrainingVolume("a", np.zeros((*shape, 1), np.float32), class_index, (1, 1, 1))
    sampler, rng = Sampler([case], tile), np.random.default_rng(0)
    counts = []
    for _ in range(64):
        box = sampler.place(rng).labels.clipped(shape)
        counts.append(np.count_nonzero(class_index[box.slices] >= 0))
    assert labelled_voxels([case], np.array([tile]))[0] == pytest.approx(np.mean(counts))


def test_large_volumes_are_counted_in_cells(monkeypatch):
    sparse = volume((150, 140, 130), {0: range(10, 150, 15)})
    tiles = np.array([[28, 44, 44], [20, 100, 100], [200, 200, 200]])
    exact = labelled_voxels([sparse], tiles)
    monkeypatch.setattr("keras_unet3d.training.tile_choice.TABLE_VOXELS", 1000)
    np.testing.assert_allclose(labelled_voxels([sparse], tiles), exact, rtol=0.35)
    assert labelled_voxels([sparse], tiles)[2] == exact[2] == 10 * 140 * 130
