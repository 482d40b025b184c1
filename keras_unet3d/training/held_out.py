"""What is kept out of training to validate on: whole cases, or annotated slices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.annotation.folds import hold_out
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.slices import AnnotatedSlices, find_annotated_slices
from keras_unet3d.errors import InputError
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.working_spacing import labels_of, resampled_case, working_grid
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities
from keras_unet3d.volumes.resampling import axis_steps
from keras_unet3d.volumes.spacing import Spacing

Mode = Literal["auto", "cases", "slices", "nothing"]

ENOUGH_CASES = 5
"""With fewer cases, each is worth too much to leave out; slices are held out instead."""
CASE_SHARE, MOST_CASES = 0.1, 10
EVERY_SLICE, FIRST_SLICE = 5, 2
"""One slice in five is held out, from the third on: neither the first of an orientation nor, mostly, the last."""
FEWEST_SLICES = 6


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Volumes parted into those to learn from and those to validate on.

    Attributes:
        training: with the labels to learn from.
        validation: with the labels to validate on; empty where nothing is held out.
        sentence: what is held out, for people.
    """

    training: tuple[TrainingVolume, ...]
    validation: tuple[TrainingVolume, ...]
    sentence: str


@dataclass(frozen=True)
class Preparation:
    """What becomes of a case before a network sees it.

    Attributes:
        intensities: by which its image is normalised.
        spacing: the working spacing that it is resampled to; None leaves it as it is.
        margins: voxels around labels, z, y, x, that tiles are made of; of large images no others are read.
    """

    intensities: Intensities = PER_VOLUME
    spacing: Spacing | None = None
    margins: Triple = (0, 0, 0)

    def volume(self, case: AnnotatedCase) -> TrainingVolume:
        """The case as it is learned from. An image in memory that is not resampled is normalised in place."""
        raw, case = case, resampled_case(case, self.spacing)
        voxels = case.image.voxels[:, :, :]
        whole = "" if raw.within is None else raw.image_name
        self.intensities.normalise(voxels, (lambda _: raw.intensity(self.spacing)) if whole else None)
        return TrainingVolume(case.name, voxels, case.class_index, case.image.grid.spacing, whole)

    def surrounded(self, case: AnnotatedCase) -> AnnotatedCase:
        """The case with all that tiles around its labels are made of, where it is a part of a large image."""
        steps = axis_steps(case.image.grid, working_grid(case, self.spacing))
        return case.surrounded(
            [ceil(margin * axis.step) + axis.radius for margin, axis in zip(self.margins, steps, strict=True)]
        )


USUAL: Final = Preparation()
"""Normalised by itself, on its own grid."""


def part(cases: Sequence[AnnotatedCase], mode: Mode, preparation: Preparation = USUAL) -> HeldOut:
    """Part the cases of a dataset. Their images are normalised in place: nothing is held in memory twice.

    Cases of another spacing are resampled, which takes memory of its own; validation is done on the resampled ones.
    Slices are dealt as they were annotated, before that.

    Args:
        cases: all of the dataset.
        mode: ``"auto"``: cases where there are five or more, else slices where there are six or more, else nothing.
            Never so that a class is left without labels to learn from.
        preparation: what becomes of each case.

    Raises:
        InputError: if cases are to be held out and only one has labels.
    """
    cases = [preparation.surrounded(case) for case in cases]
    return _chosen(cases, mode, preparation.spacing).parted(cases, preparation)


def held_out_decision(cases: Sequence[AnnotatedCase], mode: Mode, spacing: Spacing | None) -> list[Decision]:
    """What `part` will hold out, where that is not set; nothing is read or normalised for it.

    Raises:
        InputError: as `part`.
    """
    chosen = _chosen(cases, mode, spacing)
    reason = chosen.sentence[0].lower() + chosen.sentence[1:].rstrip(".")
    return [Decision("hold_out", chosen.what, reason)] if mode == "auto" else []


@dataclass(frozen=True, eq=False)
class _Choice:
    """What is held out.

    Attributes:
        what: kind of it.
        sentence: for people.
        images: names of those that are held out, where cases are.
        maps: the labels to learn from and those to validate on, of each case, where slices are.
    """

    what: Mode
    sentence: str
    images: frozenset[str] = frozenset()
    maps: Sequence[tuple[NDArray[np.int16], NDArray[np.int16]]] = ()

    def parted(self, cases: Sequence[AnnotatedCase], preparation: Preparation) -> HeldOut:
        """The volumes of the cases, parted so."""
        volumes = [preparation.volume(case) for case in cases]
        if not self.maps:
            out = [case.image_name in self.images for case in cases]
            kept, held = (
                [volume for volume, left in zip(volumes, out, strict=True) if left == which] for which in (False, True)
            )
            return HeldOut(tuple(kept), tuple(held), self.sentence)
        pairs = list(zip(volumes, self.maps, strict=True))
        training = [replace(volume, class_index=labels) for volume, (labels, _) in pairs]
        validation = [
            replace(volume, class_index=labels) for volume, (_, labels) in pairs if (labels != UNLABELED).any()
        ]
        return HeldOut(tuple(training), tuple(validation), self.sentence)


def _chosen(cases: Sequence[AnnotatedCase], mode: Mode, spacing: Spacing | None) -> _Choice:
    labelled = sum(map(bool, _classes_of_images(cases).values()))
    if mode == "cases" and labelled < 2:
        raise InputError(
            "hold_out = 'cases' needs at least two cases with labels; the dataset has one. Hold out slices instead."
        )
    choice = None
    if mode == "cases" or (mode == "auto" and labelled >= ENOUGH_CASES):
        choice = _chosen_cases(cases)
    if choice is None and mode in ("auto", "slices"):
        choice = _chosen_slices(cases, spacing)
    why = "as set" if mode == "nothing" else "the labels are too few to spare any"
    return choice or _Choice("nothing", f"Nothing is held out for validation: {why}.")


def _chosen_cases(cases: Sequence[AnnotatedCase]) -> _Choice | None:
    """Spare labelled cases, evenly spread; the first such choice that loses no class, None where each does."""
    classes = _classes_of_images(cases)
    labelled = [image for image, found in classes.items() if found]
    count = min(max(round(CASE_SHARE * len(labelled)), 1), MOST_CASES)
    places = [round((number + 0.5) * len(labelled) / count - 0.5) for number in range(count)]
    for shift in range(len(labelled)):
        chosen = {labelled[(place + shift) % len(labelled)] for place in places}
        kept = [found for image, found in classes.items() if image not in chosen]
        if set().union(*kept) == set().union(*classes.values()):
            names = ", ".join(image for image in classes if image in chosen)
            sentence = f"Held out for validation: {len(chosen)} of {len(classes)} cases ({names})."
            return _Choice("cases", sentence, images=frozenset(chosen))
    return None


def _chosen_slices(cases: Sequence[AnnotatedCase], spacing: Spacing | None) -> _Choice | None:
    """Deal the slices of all cases in order; None where there are too few, or a class would be lost."""
    slices = [_Slices(case, spacing) for case in cases]
    dealt = [(number, axis, index) for number, each in enumerate(slices) for axis, index in each.annotated]
    if len(dealt) < FEWEST_SLICES:
        return None
    chosen = dealt[FIRST_SLICE::EVERY_SLICE]
    maps = []
    for number, each in enumerate(slices):
        z, y, x = (tuple(index for of, ax, index in chosen if (of, ax) == (number, axis)) for axis in range(3))
        maps.append(each.parted(AnnotatedSlices(z, y, x)))
    if _values(*(labels for both in maps for labels in both)) != _values(*(learned for learned, _ in maps)):
        return None
    return _Choice("slices", f"Held out for validation: {len(chosen)} of {len(dealt)} annotated slices.", maps=maps)


class _Slices:
    """The annotated slices of a case, and its labels on the working grid without some of them.

    Few slices are dealt as they were annotated: a slice that becomes several is one. Dense labels have slices on any
    grid, and are dealt on the working one.

    Attributes:
        annotated: that are dealt.
    """

    def __init__(self, case: AnnotatedCase, spacing: Spacing | None) -> None:
        self._case, self._spacing, self._labels = case, spacing, case.class_index
        self.annotated = case.annotated_slices
        if spacing is not None and np.count_nonzero(self._labels != UNLABELED) > self._labels.size / 2:
            self._labels, self._spacing = labels_of(case, spacing).class_index, None
            self.annotated = find_annotated_slices(self._labels != UNLABELED)

    def parted(self, held: AnnotatedSlices) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """The labels to learn from and those of the slices that are held out; a voxel of both has the nearer one."""
        learned, validated = hold_out(self._labels, held)
        if self._spacing is None:
            return learned, validated
        classes = np.int16(self._labels.max() + 1)
        both = np.where(validated == UNLABELED, learned, validated + classes)
        nearest = labels_of(self._case, self._spacing, both).class_index
        unlabelled = np.int16(UNLABELED)
        return (
            np.where(nearest < classes, nearest, unlabelled),
            np.where(nearest >= classes, nearest - classes, unlabelled),
        )


def _classes_of_images(cases: Sequence[AnnotatedCase]) -> dict[str, set[int]]:
    """By the name of each image: the parts of one are learned from, or held out, together."""
    found: dict[str, set[int]] = {}
    for case in cases:
        found.setdefault(case.image_name, set()).update(_classes([case]))
    return found


def _classes(cases: Sequence[AnnotatedCase]) -> set[int]:
    return _values(*(case.class_index for case in cases))


def _values(*maps: NDArray[np.int16]) -> set[int]:
    return {int(value) for labels in maps for value in np.unique(labels)} - {UNLABELED}
