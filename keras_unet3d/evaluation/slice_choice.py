"""Which slices of a volume to show: where it is worst, where it is least sure, and some to judge the rest by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.evaluation.case_view import AGREE, CONFUSED, MISSED, STEPS, TOO_MUCH, UNKNOWN, CaseView, disagreement
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.slabs import slabs

SHOWN = {"z": 8, "y": 4, "x": 4}
"""Slices orthogonal to each axis."""


@dataclass(frozen=True, eq=False)
class Profile:
    """What there is in the slices orthogonal to each axis, for z, y and x.

    Attributes:
        structure: voxels that anything takes for structure.
        labelled: voxels with a label to compare with.
        wrong: of these, how many were predicted otherwise.
        unsure: sum of the uncertainty.
    """

    structure: tuple[NDArray[np.int64], ...]
    labelled: tuple[NDArray[np.int64], ...]
    wrong: tuple[NDArray[np.int64], ...]
    unsure: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, case: CaseView) -> "Profile":
        """Go through a volume slab by slab."""
        shape = case.image.shape[:3]
        counts = [tuple(np.zeros(length, np.int64) for length in shape) for _ in range(3)]
        structure, labelled, wrong = counts
        unsure = tuple(np.zeros(length, np.float64) for length in shape)
        behind = -2 if case.background is None else case.background
        truth = case.truth if case.truth is not None else case.annotation
        for box in slabs(case.image):
            part = box.slices
            found = None if case.prediction is None else case.prediction[part]
            true = None if truth is None else truth[part]
            seen = np.zeros(box.shape, bool)
            for classes in (found, true):
                if classes is not None:
                    seen |= (classes >= 0) & (classes != behind)
            _add(structure, part, seen)
            if true is not None:
                _add(labelled, part, true >= 0)
            if found is not None and true is not None and case.truth is not None:
                kinds = disagreement(true, found, case.background)
                _add(wrong, part, np.isin(kinds, (MISSED, TOO_MUCH, CONFUSED)))
            if case.uncertainty is not None:
                _add(unsure, part, case.uncertainty[part] / STEPS)
        return cls(structure, labelled, wrong, unsure)


@dataclass(frozen=True)
class Shown:
    """A slice to show.

    Attributes:
        axis: it is orthogonal to.
        index: counted from 0.
        why: why to look at it, empty for those that are only there to judge the rest by.
        first: whether it is the one to look at first of its axis.
    """

    axis: str
    index: int
    why: str = ""
    first: bool = False


def slices_to_show(profile: Profile) -> list[Shown]:
    """Some slices orthogonal to each axis, by axis and place.

    Where few slices are annotated these are shown, as nothing can be compared elsewhere, and the least certain one.
    """
    chosen: list[Shown] = []
    for number, axis in enumerate(AXES):
        reasons: dict[int, str] = {}
        unsure, wrong = profile.unsure[number], profile.wrong[number]
        if unsure.any():
            reasons[int(unsure.argmax())] = "the least certain slice"
        if wrong.any():
            worst = int(wrong.argmax())
            too = ", and the least certain" if reasons.pop(worst, "") else ""
            reasons[worst] = f"the slice with most disagreement{too}"
        candidates = _candidates(profile.labelled[number], profile.structure[number])
        if not reasons:
            most = max(candidates, key=lambda index: int(profile.structure[number][index]))
            reasons[most] = "the slice with most structure"
        first = list(reasons)[-1]
        others = [index for index in candidates if index not in reasons]
        indices = [*reasons, *_spread(others, SHOWN[axis] - len(reasons))]
        chosen += [Shown(axis, index, reasons.get(index, ""), index == first) for index in sorted(indices)]
    return chosen


def _candidates(labelled: NDArray[np.int64], structure: NDArray[np.int64]) -> Sequence[int]:
    """Slices worth a look: the annotated ones where only some are, else those with structure, else all."""
    if labelled.any():
        full = np.flatnonzero(labelled > 0.5 * labelled.max())
        if len(full) < len(labelled):
            return [int(index) for index in full]
    found = np.flatnonzero(structure)
    return [int(index) for index in found] if found.size else range(len(structure))


def _spread(candidates: Sequence[int], count: int) -> list[int]:
    """Evenly over the candidates, none of the ends."""
    if len(candidates) <= count:
        return list(candidates)
    return [candidates[round((number + 0.5) * len(candidates) / count - 0.5)] for number in range(count)]


def _add(sums: Sequence[NDArray[Any]], part: tuple[slice, ...], voxels: NDArray[Any]) -> None:
    for number, total in enumerate(sums):
        others = tuple(axis for axis in range(3) if axis != number)
        total[part[number]] += voxels.sum(axis=others)


def kinds_in_words(kinds: NDArray[np.uint8]) -> str:
    """How much of a slice is right and wrong, a few words."""
    known = int((kinds != UNKNOWN).sum())
    if not known:
        return "nothing here is annotated"
    missed, too_much, confused, agree = (int((kinds == kind).sum()) for kind in (MISSED, TOO_MUCH, CONFUSED, AGREE))
    wrong = missed + too_much + confused
    words = f"{wrong:,} of {known:,} labelled voxels differ ({wrong / known:.1%})"
    parts = [
        f"{count:,} {name}"
        for count, name in ((missed, "false negative"), (too_much, "false positive"), (confused, "of another class"))
        if count
    ]
    union = agree + wrong
    overlap = f"; IoU of all structures {agree / union:.2f}" if union else ""
    return words + (f": {', '.join(parts)}" if parts else "") + overlap
