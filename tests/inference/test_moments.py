"""Moments of parts are those of all."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.inference.moments import MomentSum


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.sampled_from([1, 2, 6]), st.floats(-1e4, 1e4))
def test_moments_of_parts_are_those_of_all(parts, groups, offset):
    rng = np.random.default_rng(len(parts))
    pieces = [rng.normal(offset, 1, (n, 2, 6)) for n in [*parts, 3]]
    total = MomentSum(6)
    for piece in pieces:
        total.add(piece)
    whole = np.concatenate([piece.reshape(-1, 6) for piece in pieces]).reshape(-1, groups, 6 // groups)
    of_channel = np.repeat(np.arange(groups), 6 // groups)
    mean, variance = total.moments(groups)
    np.testing.assert_allclose(mean, whole.mean((0, 2))[of_channel], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, whole.var((0, 2))[of_channel], rtol=1e-4)
