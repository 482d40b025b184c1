import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.annotation import (
    UNLABELED,
    LabelScheme,
    class_counts,
    class_weights,
    given_class_weights,
)
from keras_unet3d.errors import InputError

SCHEME = LabelScheme((0, 1, 2), ("inside", "tubule", "background"))


def test_only_labelled_voxels_are_counted():
    class_index = np.array([[[0, 1, UNLABELED]], [[1, 1, UNLABELED]]], np.int16)
    assert class_counts(class_index, 3).tolist() == [1, 3, 0]


def test_a_class_a_quarter_as_frequent_weighs_twice_as_much():
    # 1/√n is 2 : 4 : 1, which is 700 for the 525 voxels together: 4/3 too much.
    assert class_weights([100, 25, 400]).tolist() == pytest.approx([1.5, 3, 0.75])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=5).filter(any))
def test_the_mean_weight_is_1_and_no_class_explodes(counts):
    weights, counts = class_weights(counts).astype(float), np.array(counts)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, rel=1e-5)
    labelled = weights[counts > 0]
    assert labelled.max() <= 10 * labelled.min() * (1 + 1e-5)
    assert (np.diff(weights[counts > 0][np.argsort(counts[counts > 0], kind="stable")]) <= 1e-6).all()


def test_a_tiny_class_is_capped_at_ten_times_the_most_frequent():
    weights = class_weights([10**8, 1])
    assert weights[1] / weights[0] == pytest.approx(10)


def test_no_label_no_weights():
    with pytest.raises(ValueError, match="at least one labelled voxel"):
        class_weights([0, 0])


def test_weights_by_name():
    assert given_class_weights({"tubule": 3}, SCHEME).tolist() == [1, 3, 1]
    with pytest.raises(InputError, match=r"No class is named tube\. The classes are: inside, tubule, background"):
        given_class_weights({"tube": 3}, SCHEME)
    for bad in ({"tubule": -1}, {"tubule": float("nan")}, dict.fromkeys(SCHEME.names, 0)):
        with pytest.raises(InputError, match="at least 0"):
            given_class_weights(bad, SCHEME)
