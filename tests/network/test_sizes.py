"""The sizes of figure 2, and that they hold for every depth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.network.sizes import AxisGeometry, Geometry

geometries = st.builds(
    lambda padding, depth, unpooled: AxisGeometry(padding, depth, min(unpooled, depth)),
    st.sampled_from(["valid", "same"]),
    st.integers(1, 5),
    st.integers(0, 5),
)


def test_the_papers_tile_gives_the_papers_output():
    assert Geometry().output_lengths((116, 132, 132)) == (28, 44, 44)


def test_the_numbers_of_the_paper_follow_from_depth_and_kernel():
    geometry = AxisGeometry()
    assert (geometry.margin, geometry.halo, geometry.multiple, geometry.remainder, geometry.minimum) == (
        88,
        44,
        8,
        4,
        92,
    )
    assert [geometry.skip_crop(level) for level in (2, 1, 0)] == [4, 16, 40]
    assert [geometry.scale(level) for level in range(4)] == [1, 2, 4, 8]


def test_an_axis_that_the_first_level_does_not_pool_loses_less():
    """By hand: 4 at the bottom, 4 + 2·4 + 4 = 16, 4 + 2·16 + 4 = 40, and 4 + 40 + 4 = 48."""
    geometry = AxisGeometry(unpooled=1)
    assert (geometry.margin, geometry.halo, geometry.multiple, geometry.remainder, geometry.minimum) == (
        48,
        24,
        4,
        0,
        52,
    )
    assert [geometry.skip_crop(level) for level in (2, 1, 0)] == [4, 16, 20]
    assert [geometry.scale(level) for level in range(4)] == [1, 1, 2, 4]
    never = AxisGeometry(unpooled=3)  # fourteen convolutions of which each takes 2
    assert (never.margin, never.multiple, never.minimum) == (28, 1, 29)
    assert AxisGeometry("same", unpooled=3).halo == 14


def test_each_axis_has_its_own():
    geometry = Geometry(unpooled=(1, 0, 3))
    assert geometry.axes == (AxisGeometry(unpooled=1), AxisGeometry(), AxisGeometry(unpooled=3))
    assert [geometry.factors(level) for level in range(3)] == [(1, 2, 1), (2, 2, 1), (2, 2, 1)]
    assert (geometry.margins, geometry.coarsest) == ((48, 88, 28), 8)
    assert geometry.takes((52, 92, 29))
    assert not geometry.takes((92, 92, 28))
    with pytest.raises(ValueError, match=r"0 to 3 levels .* Received: x=0 y=0 z=4"):
        Geometry(unpooled=(4, 0, 0))


def test_a_padded_network_keeps_its_length_and_reads_a_halo_of_whole_multiples():
    geometry = AxisGeometry("same")
    assert (geometry.margin, geometry.halo, geometry.multiple, geometry.minimum) == (0, 48, 8, 8)
    assert geometry.output_length(64) == 64


@pytest.mark.parametrize(
    ("depth", "unpooled", "halo"), [(1, 0, 8), (2, 0, 24), (3, 0, 48), (4, 0, 96), (3, 1, 24), (3, 2, 16), (3, 3, 14)]
)
def test_the_zeros_of_a_padded_network_end_within_its_halo(depth: int, unpooled: int, halo: int):
    """Follow which voxels the zeros beyond the end of an axis have touched, through every step of the network."""

    def convolve_twice(touched: np.ndarray) -> np.ndarray:
        for _ in range(2):
            touched = touched | np.append(touched[1:], [True])
        return touched

    x = np.zeros(1 << 10, dtype=bool)
    skips = []
    factors = [1 if level < unpooled else 2 for level in range(depth)]
    for factor in factors:
        skips.append(convolve_twice(x))
        x = skips[-1].reshape(-1, factor).any(axis=1)
    x = convolve_twice(x)
    for factor, skip in zip(reversed(factors), reversed(skips), strict=True):
        x = convolve_twice(np.repeat(x, factor) | skip)
    geometry = AxisGeometry("same", depth, unpooled)
    assert geometry.padded_reach == x.sum()
    assert geometry.halo == halo


@given(geometries, st.integers(1, 600))
def test_walking_through_the_network_agrees(geometry: AxisGeometry, length: int):
    """Follow an axis step by step: an odd length cannot be pooled, a convolution needs a voxel to return."""

    def walk(size: int, level: int) -> int:
        lost = 4 if geometry.padding == "valid" else 0
        size -= lost
        if size < 1 or level == geometry.depth:
            return size
        factor = 1 if level < geometry.unpooled else 2
        if size % factor:
            return -1
        below = walk(size // factor, level + 1)
        return factor * below - lost if below > 0 else -1

    out = walk(length, 0)
    assert geometry.is_valid(length) == (out > 0)
    if out > 0:
        assert geometry.output_length(length) == out


@given(geometries, st.integers(1, 600))
def test_nearest_valid_is_the_first_that_is_valid(geometry: AxisGeometry, length: int):
    nearest = geometry.nearest_valid(length)
    assert geometry.is_valid(nearest)
    assert nearest >= length
    assert not any(geometry.is_valid(n) for n in range(length, nearest))
    assert geometry.output_length(geometry.input_length(length)) >= length


def test_an_impossible_length_names_the_next_possible_one():
    with pytest.raises(ValueError, match=r"the next is 132\. Received: 130"):
        AxisGeometry().output_length(130)
    with pytest.raises(ValueError, match=r"not pooled in 1 of its levels, .* the next is 132\. Received: 130"):
        AxisGeometry(unpooled=1).output_length(130)
