"""Reading the labels of a box that may lie outside the volume; for images, see `read_mirrored`."""

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.volumes.box import Box


def read_unlabeled(class_index: NDArray[np.int16], box: Box, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """Copy `box` out of ``(z, y, x)`` class indices; what lies outside is unlabelled: nobody annotated it.

    Args:
        class_index: the whole volume.
        box: may lie outside, however far.
        out: an array to copy into.
    """
    block = np.empty(box.shape, np.int16) if out is None else out
    inside = box.clipped(class_index.shape)
    if inside != box:
        block[:] = UNLABELED
    if min(inside.shape) > 0:
        block[inside.shifted([-value for value in box.start]).slices] = class_index[inside.slices]
    return block
