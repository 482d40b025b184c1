"""How much each labelled voxel counts in the loss."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.errors import InputError

LARGEST_RATIO = 10.0
"""How many times more than a voxel of the most frequent class any other may count."""


def class_counts(class_index: NDArray[np.int16], classes: int) -> NDArray[np.int64]:
    """Labelled voxels of each class, ``(class,)``; unlabelled ones are not counted."""
    counts = np.zeros(classes + 1, np.int64)
    for plane in class_index:
        counts += np.bincount(np.ravel(plane).astype(np.intp) - UNLABELED, minlength=classes + 1)
    return counts[1:]


def class_weights(counts: ArrayLike) -> NDArray[np.float32]:
    """Weights that raise rare classes and lower frequent ones (Çiçek et al. 2016, section 3.2).

    The paper lowers the weight of the frequent background and raises that of the rare structure and gives no formula.
    Ours is the square root of the inverse frequency: with n(c) labelled voxels of class c,

        w(c) ∝ 1 / √n(c),

    scaled so that the mean weight of the labelled voxels is 1. The inverse frequency itself would give each class the
    same influence whatever its size, and networks then paint rare classes too large: the voxels around a structure
    are as cheap to get wrong as any other background. The weight of a class of a handful of voxels is at most
    `LARGEST_RATIO` times the smallest one. A class without labelled voxels gets weight 1, which no voxel uses.

    Args:
        counts: labelled voxels of each class in all training cases together, ``(class,)``.

    Raises:
        ValueError: if no voxel is labelled.
    """
    labelled = np.asarray(counts, np.float64)
    if not labelled.any():
        raise ValueError("Class weights need at least one labelled voxel.")
    inverse = np.sqrt(labelled.max() / np.maximum(labelled, 1))  # 1 for the most frequent class
    capped = np.minimum(inverse, LARGEST_RATIO)
    mean = (capped * labelled).sum() / labelled.sum()
    return np.where(labelled > 0, capped / mean, 1).astype(np.float32)


def given_class_weights(weights: Mapping[str, float], scheme: LabelScheme) -> NDArray[np.float32]:
    """Weights that the user gave by class name, ``(class,)``; a class that is not named gets 1.

    Raises:
        InputError: if a name is no class, or a weight is negative or not finite, or all are 0.
    """
    unknown = sorted(set(weights) - set(scheme.names))
    if unknown:
        raise InputError(f"No class is named {', '.join(unknown)}. The classes are: {', '.join(scheme.names)}.")
    given = np.array([weights.get(name, 1.0) for name in scheme.names], np.float32)
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise InputError(f"Expected class weights of at least 0, one of them above. Received: {dict(weights)}")
    return given
