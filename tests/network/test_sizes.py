"""The sizes of figure 2, and that they hold for every depth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.network.sizes import Geometry, padded_reach, skip_crop

geometries = st.builds(Geometry, st.sampled_from(["valid", "same"]), st.integers(1, 5))


def test_the_papers_tile_gives_the_papers_output():
    geometry = Geometry()
    assert [geometry.output_length(n) for n in (132, 132, 116)] == [44, 44, 28]


def test_the_numbers_of_the_paper_follow_from_depth_and_kernel():
    geometry = Geometry()
    assert (geometry.margin, geometry.halo, geometry.multiple, geometry.remainder, geometry.minimum) == (
        88,
        44,
        8,
        4,
        92,
    )
    assert [skip_crop(level, 3) for level in (2, 1, 0)] == [4, 16, 40]


def test_a_padded_network_keeps_its_length_and_reads_a_halo_of_whole_multiples():
    geometry = Geometry("same")
    assert (geometry.margin, geometry.halo, geometry.multiple, geometry.minimum) == (0, 48, 8, 8)
    assert geometry.output_length(64) == 64


@pytest.mark.parametrize(("depth", "halo"), [(1, 8), (2, 24), (3, 48), (4, 96)])
def test_the_zeros_of_a_padded_network_end_within_its_halo(depth: int, halo: int):
    """Follow which voxels the zeros beyond the end of an axis have touched, through every step of the network."""

    def convolve_twice(touched: np.ndarray) -> np.ndarray:
        for _ in range(2):
            touched = touched | np.append(touched[1:], [True])
        return touched

    x = np.zeros(1 << 10, dtype=bool)
    skips = []
    for _ in range(depth):
        skips.append(convolve_twice(x))
        x = skips[-1].reshape(-1, 2).any(axis=1)
    x = convolve_twice(x)
    for skip in reversed(skips):
        x = convolve_twice(np.repeat(x, 2) | skip)
    assert padded_reach(depth) == x.sum()
    assert Geometry("same", depth).halo == halo


@given(geometries, st.integers(1, 600))
def test_walking_through_the_network_agrees(geometry: Geometry, length: int):
    """Follow an axis step by step: an odd length cannot be pooled, a convolution needs a voxel to return."""

    def walk(size: int, level: int) -> int:
        lost = 4 if geometry.padding == "valid" else 0
        size -= lost
        if size < 1 or level == geometry.depth:
            return size
        if size % 2:
            return -1
        below = walk(size // 2, level + 1)
        return 2 * below - lost if below > 0 else -1

    out = walk(length, 0)
    assert geometry.is_valid(length) == (out > 0)
    if out > 0:
        assert geometry.output_length(length) == out


@given(geometries, st.integers(1, 600))
def test_nearest_valid_is_the_first_that_is_valid(geometry: Geometry, length: int):
    nearest = geometry.nearest_valid(length)
    assert geometry.is_valid(nearest)
    assert nearest >= length
    assert not any(geometry.is_valid(n) for n in range(length, nearest))
    assert geometry.output_length(geometry.input_length(length)) >= length


def test_an_impossible_length_names_the_next_possible_one():
    with pytest.raises(ValueError, match=r"the next is 132\. Received: 130"):
        Geometry().output_length(130)
