"""Reading the labels of a box that may lie outside the volume; for images, see `read_mirrored`."""

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.volumes.box import Box


def read_unlabeled(class_index: NDArray[np.int16], box: Box) -> NDArray[np.int16]:
    """Copy `box` out of ``(z, y, x)`` class indices; what lies outside is unlabelled: nobody annotated it."""
    block = np.full(box.shape, UNLABELED, np.int16)
    inside = box.clipped(class_index.shape)
    offset = [-value for value in box.start]
    if min(inside.shape) > 0:
        block[inside.shifted(offset).slices] = class_index[inside.slices]
    return block
