import numpy as np

from keras_unet3d.augmentation.reading import read_unlabeled
from keras_unet3d.volumes.box import Box

CLASS_INDEX = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def test_outside_the_volume_nothing_is_labelled():
    block = read_unlabeled(CLASS_INDEX, Box((-1, 1, 2), (1, 4, 6)))
    assert block.tolist() == [
        [[-1, -1, -1, -1]] * 3,
        [[6, 7, -1, -1], [10, 11, -1, -1], [-1, -1, -1, -1]],
    ]


def test_a_box_beside_the_volume_is_unlabelled():
    assert (read_unlabeled(CLASS_INDEX, Box((5, 0, -9), (7, 3, -5))) == -1).all()


def test_a_box_inside_is_a_copy():
    block = read_unlabeled(CLASS_INDEX, Box((0, 0, 0), (2, 3, 4)))
    np.testing.assert_array_equal(block, CLASS_INDEX)
    assert not np.shares_memory(block, CLASS_INDEX)
