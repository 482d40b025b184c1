import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.annotation.labelled import labelled_positions


@given(seed=st.integers(0, 999), most=st.integers(1, 40))
def test_positions_are_of_their_class_and_evenly_spread_over_it(seed, most):
    labels = np.random.default_rng(seed).integers(-1, 3, (4, 5, 6)).astype(np.int16)
    found = labelled_positions(labels, most)
    assert sorted(found) == [value for value in range(3) if (labels == value).any()]
    for value, positions in found.items():
        every = np.flatnonzero(labels == value)
        stride = -(-len(every) // most)
        np.testing.assert_array_equal(positions, every[::stride])
        assert len(positions) <= most


def test_of_many_labelled_voxels_an_even_few_are_held():
    """1000 voxels, at most 100 held: every tenth, in memory of their own."""
    found = labelled_positions(np.zeros((10, 10, 10), np.int16), 100)[0]
    np.testing.assert_array_equal(found, np.arange(0, 1000, 10))
    assert found.base is None
