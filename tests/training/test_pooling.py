"""Axes of coarse or few voxels are pooled by the coarser levels only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.training.pooling import choose_unpooled


@pytest.mark.parametrize(
    ("typical", "spacing", "unpooled"),
    [
        ((36, 50, 35), (1, 1, 1), (0, 0, 0)),  # hippocampus
        ((64, 244, 248), (2.04, 1.76, 1.76), (0, 0, 0)),  # the paper's kidneys
        ((51, 130, 130), (0.436, 0.2, 0.2), (1, 0, 0)),  # mouse embryos
        ((60, 500, 500), (3.0, 1, 1), (1, 0, 0)),
        ((60, 500, 500), (3.9999, 1, 1), (2, 0, 0)),  # four times, but for a header's digits
        ((60, 500, 500), (5.0, 1, 1), (2, 0, 0)),
        ((60, 500, 500), (50.0, 1, 1), (3, 0, 0)),
        ((400, 400, 400), (1, 2, 2), (0, 1, 1)),
    ],
)
def test_an_axis_is_pooled_once_its_voxels_are_no_longer_twice_as_far_apart(typical, spacing, unpooled):
    assert choose_unpooled(typical, spacing, 3)[0] == unpooled


@pytest.mark.parametrize(
    ("typical", "unpooled"),
    [
        ((25, 200, 200), (0, 0, 0)),  # 25 are mirrored up to 32, and 4 remain
        ((24, 200, 200), (1, 0, 0)),
        ((8, 200, 200), (2, 0, 0)),
        ((5, 200, 200), (3, 0, 0)),
        ((1, 200, 200), (3, 0, 0)),
        ((200, 10, 200), (0, 2, 0)),
        ((8, 20, 20), (1, 0, 0)),  # not more than the longest
        ((8, 8, 8), (0, 0, 0)),
    ],
)
def test_an_axis_of_few_voxels_keeps_four_at_the_bottom(typical, unpooled):
    assert choose_unpooled(typical, (1, 1, 1), 3)[0] == unpooled


def test_the_reason_names_the_axes():
    _, reason = choose_unpooled((8, 200, 200), (1, 1, 2.5), 3)
    assert "along x voxels are 2.5 times as far apart as along the finest axis; 8 voxels along z are too few" in reason
    assert "no axis" in choose_unpooled((36, 50, 35), (1, 1, 1), 3)[1]


@given(
    st.tuples(*[st.integers(1, 600)] * 3),
    st.tuples(*[st.floats(0.05, 20)] * 3),
    st.integers(1, 5),
)
def test_every_level_pools_along_some_axis(typical, spacing, depth):
    unpooled, _ = choose_unpooled(typical, spacing, depth)
    assert min(unpooled) == 0
    assert max(unpooled) <= depth
