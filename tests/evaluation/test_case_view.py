import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_unet3d.evaluation.case_view import (
    AGREE,
    CONFUSED,
    MISSED,
    TOO_MUCH,
    UNKNOWN,
    Derived,
    disagreement,
    steps_of_uncertainty,
)
from keras_unet3d.metrics import Overlap


def test_each_kind_of_mistake_has_its_name():
    truth = np.array([0, 1, 1, 0, 2, -1, -1])
    found = np.array([0, 1, 0, 1, 1, 1, 0])
    kinds = disagreement(truth, found, 0)
    assert kinds.tolist() == [0, AGREE, MISSED, TOO_MUCH, CONFUSED, UNKNOWN, UNKNOWN]


@given(st.data())
def test_kinds_count_what_the_confusion_matrix_counts(data):
    truth = data.draw(arrays(np.int16, (2, 3, 4), elements=st.integers(-1, 2)))
    found = data.draw(arrays(np.int16, (2, 3, 4), elements=st.integers(0, 2)))
    matrix = Overlap.of(truth, found, 3).matrix
    counts = np.bincount(disagreement(truth, found, 1).ravel(), minlength=UNKNOWN + 1)
    assert counts[0] == matrix[1, 1]
    assert counts[AGREE] == matrix[0, 0] + matrix[2, 2]
    assert counts[MISSED] == matrix[0, 1] + matrix[2, 1]
    assert counts[TOO_MUCH] == matrix[1, 0] + matrix[1, 2]
    assert counts[CONFUSED] == matrix[0, 2] + matrix[2, 0]
    assert counts[UNKNOWN] == (truth < 0).sum()


def test_without_a_background_every_difference_is_another_class():
    assert disagreement(np.array([0, 1]), np.array([1, 1]), None).tolist() == [CONFUSED, AGREE]


def test_uncertainty_is_kept_in_a_byte():
    assert steps_of_uncertainty(np.array([0.0, 0.5, 1.0, 1.2])).tolist() == [0, 125, 250, 250]


def test_derived_voxels_are_computed_for_the_part_that_is_read():
    read = []

    def double(part):
        read.append(part.shape)
        return 2 * part

    voxels = Derived((np.arange(24).reshape(2, 3, 4),), double)
    assert voxels[1:2, :, 0:1].ravel().tolist() == [24, 32, 40]
    assert read == [(1, 3, 1)]
    assert (voxels.shape, voxels.ndim, voxels.dtype) == ((2, 3, 4), 3, np.uint8)
