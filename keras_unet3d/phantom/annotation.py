"""The annotator, who paints some slices of a volume and leaves the rest."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.slices import AnnotatedSlices

UNPAINTED = 3
"""The label of a voxel that nobody painted (Çiçek et al. 2016, section 3.1)."""


def choose_slices(truth: NDArray[np.uint8], counts: Sequence[int]) -> AnnotatedSlices:
    """Choose slices "sampled as uniformly as possible in all 3 dimensions" (Çiçek et al. 2016, section 3.1).

    Each axis is cut into as many equal stretches as it gets slices; in each the annotator takes a slice of the middle
    half: of those that show the most classes, the one nearest to the middle.

    Args:
        truth: labels (z, y, x).
        counts: slices orthogonal to z, y and x, at most as many as the axis is long.
    """
    labels = np.unique(truth)
    chosen = []
    for axis, count in enumerate(counts):
        across = tuple(other for other in range(3) if other != axis)
        classes = np.sum([(truth == label).any(axis=across) for label in labels], axis=0)
        stretches = np.array_split(np.arange(truth.shape[axis]), count) if count else []
        chosen.append(tuple(_best_slice(stretch, classes) for stretch in stretches))
    return AnnotatedSlices(*chosen)


def annotate(truth: NDArray[np.uint8], annotated: AnnotatedSlices) -> NDArray[np.uint8]:
    """Keep the labels (z, y, x) of some slices; everything else becomes `UNPAINTED`.

    Raises:
        InputError: if a slice lies outside the volume.
    """
    return np.where(annotated.mask(truth.shape), truth, np.uint8(UNPAINTED))


def _best_slice(stretch: NDArray[np.intp], classes: NDArray[np.intp]) -> int:
    middle = (stretch[0] + stretch[-1]) / 2
    central = stretch[np.abs(stretch - middle) <= max(len(stretch) / 4, 0.5)]
    return int(min(central, key=lambda index: (-classes[index], abs(index - middle))))
