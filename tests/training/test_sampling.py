"""Tiles hold labels, of every class, and stay in the volume."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.training.sampling import Sampler, TrainingVolume


def volume(shape, labels=None, name="a"):
    class_index = np.full(shape, -1, np.int16)
    for value, at in (labels or {}).items():
        class_index[at] = value
    return TrainingVolume(name, np.zeros((*shape, 1), np.float32), class_index, (1, 1, 1))


@given(st.tuples(*[st.integers(1, 30)] * 3), st.tuples(*[st.integers(1, 40)] * 3), st.integers(0, 100))
def test_a_tile_holds_a_labelled_voxel_and_stays_inside_where_it_can(shape, tile, seed):
    rng = np.random.default_rng(seed)
    labels = {0: tuple(rng.integers(shape)), 1: tuple(rng.integers(shape))}
    case = volume(shape, labels)
    box = Sampler([case], tile).place(rng).labels
    assert box.shape == tile
    assert (case.class_index[box.clipped(shape).slices] >= 0).any()
    for start, stop, length in zip(box.start, box.stop, shape, strict=True):
        if stop - start <= length:
            assert start >= 0
            assert stop <= length
        else:  # centred about the volume
            assert abs((0 - start) - (stop - length)) <= 1


def test_a_rare_class_in_one_case_is_met_as_often_as_the_others():
    common = volume((20, 20, 20), {0: np.s_[:]})
    rare = volume((20, 20, 20), {0: np.s_[:10], 1: (15, 15, 15)})
    sampler = Sampler([common, common, rare], (4, 4, 4))
    rng = np.random.default_rng(0)
    places = [sampler.place(rng) for _ in range(400)]
    held = sum(
        place.volume == 2 and all(s <= 15 < e for s, e in zip(place.labels.start, place.labels.stop, strict=True))
        for place in places
    )
    assert held == pytest.approx(200, abs=40)


def test_or_every_labelled_voxel_is_met_equally_often():
    """A class of 90 voxels in one case and 5 in another, and one of 5."""
    cases = [volume((1, 1, 100), {0: np.s_[:, :, :90], 1: np.s_[:, :, 95:]}), volume((1, 1, 5), {0: np.s_[:]})]
    sampler = Sampler(cases, (1, 1, 1), "voxels")
    rng = np.random.default_rng(2)
    places = [sampler.place(rng) for _ in range(2000)]
    met = Counter((place.volume, place.labels.start[2]) for place in places)
    assert set(met) == {(0, x) for x in range(100) if not 90 <= x < 95} | {(1, x) for x in range(5)}
    assert sum(number for (case, _), number in met.items() if case == 1) == pytest.approx(100, abs=30)
    assert sum(number for (case, x), number in met.items() if case == 0 and x >= 95) == pytest.approx(100, abs=30)


def test_every_position_around_a_voxel_is_drawn():
    sampler = Sampler([volume((1, 1, 100), {0: (0, 0, 50)})], (1, 1, 8))
    rng = np.random.default_rng(1)
    starts = {sampler.place(rng).labels.start[2] for _ in range(300)}
    assert starts == set(range(43, 51))


def test_the_same_generator_draws_the_same_place():
    sampler = Sampler([volume((9, 9, 9), {0: np.s_[:5], 1: np.s_[5:]})], (4, 4, 4))
    first, again = (sampler.place(np.random.default_rng(7)) for _ in range(2))
    assert first == again
