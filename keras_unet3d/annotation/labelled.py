"""Where labelled voxels are."""

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.weights import class_counts


def labelled_positions(class_index: NDArray[np.int16], most: int) -> dict[int, NDArray[np.int64]]:
    """Flat positions of labelled voxels by class, at most so many of each, evenly spread.

    Plane by plane: the positions of all labelled voxels of a large volume would take several times its own memory.

    Args:
        class_index: ``(z, y, x)``, −1 where unlabelled.
        most: positions of a class.

    Returns:
        Class index → positions in ``class_index.ravel()``, ascending; classes without a label have no entry.
    """
    counts = class_counts(class_index, int(class_index.max()) + 1)
    found: dict[int, NDArray[np.int64]] = {}
    for value in np.flatnonzero(counts):
        stride, seen, parts = -(-int(counts[value]) // most), 0, []
        for z, plane in enumerate(class_index):
            here = np.flatnonzero(plane == value)
            parts.append(here[-seen % stride :: stride] + z * plane.size)
            seen += len(here)
        found[int(value)] = np.concatenate(parts)
    return found
