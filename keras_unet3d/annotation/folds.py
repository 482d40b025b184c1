"""Folds: what is trained on, and what is held out to validate it (Çiçek et al. 2016, section 4): slices, or cases."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError

SHUFFLES = 1000
"""How often cases are shuffled to find folds that lose no class."""


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


def case_folds(classes: Mapping[str, Collection[str]], folds: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Deal cases into folds so that each is left out of one, and the others of that fold have every class.

    The sorted names are shuffled by the seed and dealt like cards: no fold leaves out more than one case above another.
    Where a fold would leave a class without a case to learn it from, the names are shuffled again. Cases without labels
    are left out of no fold: there is nothing to score.

    Args:
        classes: name of the case → names of the classes that it has labels of.
        folds: how many.
        seed: of the shuffle.

    Returns:
        For each fold the sorted names of the cases that it leaves out.

    Raises:
        InputError: if there are fewer cases with labels than folds, fewer than two folds, or no folds keep every class.
    """
    labelled = sorted(name for name, found in classes.items() if found)
    if not 2 <= folds <= len(labelled):
        raise InputError(
            f"Each fold leaves out a case at least: expected folds from 2 up to the number of cases with labels, "
            f"{len(labelled)}. Received: {folds}"
        )
    cases_of = {one: [name for name in labelled if one in classes[name]] for found in classes.values() for one in found}
    rarest = min(cases_of, key=lambda one: (len(cases_of[one]), one))
    if len(cases_of[rarest]) == 1:
        raise InputError(
            f"Only {cases_of[rarest][0]} has labels of {rarest}: the fold that leaves this case out could not learn "
            f"it. Annotate {rarest} in another case, or train without folds."
        )
    rng = np.random.default_rng(seed)
    for _ in range(SHUFFLES):
        dealt = rng.permutation(labelled).tolist()
        parts = [set(dealt[fold::folds]) for fold in range(folds)]
        if not any(part.issuperset(cases) for part in parts for cases in cases_of.values()):
            return [tuple(sorted(part)) for part in parts]
    raise InputError(
        f"{len(labelled)} cases were dealt into {folds} folds in {SHUFFLES} ways, and each left a fold without a class "
        f"to learn, such as {rarest}, which only {', '.join(cases_of[rarest])} have. Annotate it in other cases, or "
        "take more folds."
    )


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
