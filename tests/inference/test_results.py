"""What becomes of probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.inference.results import HeldVoxels, Results, class_dtype, entropy
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.voxels import Voxels


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([1, 0, 0], 0),
        ([0, 0, 1], 0),
        ([1 / 3, 1 / 3, 1 / 3], 1),
        ([0.5, 0.5, 0], np.log(2) / np.log(3)),
        ([0.25] * 4, 1),
        ([0.5, 0.5], 1),
        ([0.9, 0.1], 0.468996),  # bits
        ([1], 0),
    ],
)
def test_entropy_by_hand(probabilities, expected):
    assert entropy(np.array(probabilities, np.float32)) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=5).filter(lambda weights: sum(weights) > 0.01))
def test_entropy_lies_between_sure_and_undecided(weights):
    probabilities = (np.array(weights) / sum(weights)).astype(np.float32)
    found = entropy(np.broadcast_to(probabilities, (2, 3, len(weights))))
    assert found.shape == (2, 3)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_a_box_is_reduced_to_what_is_wanted():
    box = Box((1, 0, 2), (3, 2, 4))
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), box.shape).astype(np.float32)
    classes, chances, unsure = (
        HeldVoxels(np.zeros((4, 3, 5, *channels), dtype))
        for channels, dtype in [((), np.uint8), ((3,), np.float32), ((1,), np.float32)]
    )
    Results(classes, chances, unsure).write(box, probabilities)
    np.testing.assert_array_equal(classes[box.slices], probabilities.argmax(-1))
    np.testing.assert_array_equal(chances[box.slices], probabilities)
    np.testing.assert_array_equal(unsure[box.slices][..., 0], entropy(probabilities))
    assert unsure.array.astype(bool).sum() == 8  # and nothing around
    assert isinstance(classes, Voxels)


def test_class_257_takes_two_bytes():
    assert (class_dtype(256), class_dtype(257)) == (np.uint8, np.uint16)
    probabilities = np.zeros((1, 1, 1, 300), np.float32)
    probabilities[..., 299] = 1
    classes = HeldVoxels(np.zeros((1, 1, 1), class_dtype(300)))
    Results(classes).write(Box((0, 0, 0), (1, 1, 1)), probabilities)
    assert classes.array.item() == 299
