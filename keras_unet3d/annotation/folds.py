"""Folds of annotated slices: what is trained on, and what is held out to validate it (Çiçek et al. 2016, section 4)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError


@dataclass(frozen=True)
class SliceFold:
    """One way of parting the annotated slices of a volume.

    Attributes:
        kept: the slices to train on.
        held_out: the slices to validate on.
    """

    kept: AnnotatedSlices
    held_out: AnnotatedSlices


def slice_folds(annotated: AnnotatedSlices, folds: int) -> list[SliceFold]:
    """Part annotated slices into `folds` subsets; each fold holds one of them out.

    The slices are dealt in order, like cards: each subset is spread uniformly over every orientation, and neither an
    orientation nor the whole gives one subset more than one slice above another.

    Raises:
        InputError: if there are fewer slices than folds, or fewer than two folds.
    """
    dealt = list(annotated)
    if not 2 <= folds <= len(dealt):
        raise InputError(f"Expected 2 to {len(dealt)} folds for {len(dealt)} annotated slices. Received: {folds}")
    parts = []
    for fold in range(folds):
        z, y, x = (tuple(index for of, index in dealt[fold::folds] if of == axis) for axis in range(3))
        parts.append(AnnotatedSlices(z, y, x))
    return [SliceFold(kept=annotated.without(part), held_out=part) for part in parts]


def hold_out(class_index: NDArray[np.int16], held_out: AnnotatedSlices) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Part a label map into one to train on and one to validate on.

    Every label goes into exactly one of the two: a voxel of a held-out slice is unlabelled in training also where a
    kept slice crosses it.

    Args:
        class_index: ``(z, y, x)``; not changed.
        held_out: the slices to validate on.

    Returns:
        The training map and the validation map, `UNLABELED` where the label is in the other one.

    Raises:
        InputError: if a slice lies outside the volume.
    """
    inside = held_out.mask(class_index.shape)
    unlabeled = np.int16(UNLABELED)
    return np.where(inside, unlabeled, class_index), np.where(inside, class_index, unlabeled)
