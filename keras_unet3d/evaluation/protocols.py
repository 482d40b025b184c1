"""The experiments of Çiçek et al. 2016, section 4, on any labels: what is learned from, and what is scored.

`PAPER` has the paper's own results, in intersection over union.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.annotation.folds import slice_folds
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.shares import Share, SlicesLearned, SlicesLeftOut, WholeCase
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError
from keras_unet3d.training.settings import Settings
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.box import Triple
from keras_unet3d.wording import counted

Protocol = Literal["semi", "sparsity", "full"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

FOLDS = 3
STEPS: tuple[Triple, ...] = ((1, 1, 1), (1, 2, 2), (2, 3, 3), (3, 5, 5))
"""Slices orthogonal to z, y and x of the paper's table 2."""
DENSE_FOLD_SLICES: Triple = (12, 6, 6)
"""Slices that `semi` takes of a densely labelled case, orthogonal to z, y and x: about what the paper's had."""


@dataclass(frozen=True)
class Network:
    """A network that is compared.

    Attributes:
        name: as in the paper.
        dimensions: 3, or 2 for one that sees each slice orthogonal to z alone.
        normalization: before each ReLU.
    """

    name: str
    dimensions: Literal[2, 3]
    normalization: Literal["batch", "none"]

    def of(self, settings: Settings) -> Settings:
        """The settings with this network; nothing else changes."""
        network = settings.network.model_copy(
            update={"dimensions": self.dimensions, "normalization": self.normalization}
        )
        return settings.model_copy(update={"network": network})


NETWORKS = (
    Network("3D without BN", 3, "none"),
    Network("3D with BN", 3, "batch"),
    Network("2D with BN", 2, "batch"),
)
"""The columns of the paper's tables 1 and 3."""

PAPER: Mapping[Protocol, Mapping[str, Sequence[float]]] = {
    "semi": {
        "3D without BN": [0.822, 0.857, 0.846],
        "3D with BN": [0.855, 0.871, 0.863],
        "2D with BN": [0.785, 0.820, 0.782],
    },
    "sparsity": {
        "x=1 y=1 z=1": [0.331, 0.483, 0.475],
        "x=2 y=2 z=1": [0.676, 0.579, 0.738],
        "x=3 y=3 z=2": [0.761, 0.808, 0.835],
        "x=5 y=5 z=3": [0.856, 0.849, 0.872],
    },
    "full": {
        "3D without BN": [0.655, 0.734, 0.779],
        "3D with BN": [0.761, 0.798, 0.554],
        "2D with BN": [0.619, 0.698, 0.325],
    },
}
"""`semi`: of the three subsets by network; `full`: of the three volumes left out by network; `sparsity`: of the samples
1, 2 and 3 by slices, 3D with BN."""


@dataclass(frozen=True)
class Part:
    """One training of an experiment, whatever the network.

    Attributes:
        name: the row of the table.
        shares: by the name of the case; a case that has none plays no part.
        alone: the name of the case that is learned from where that is one of several in a row, else empty.
        note: what is not as the name says, for people; mostly empty.
    """

    name: str
    shares: Mapping[str, Share]
    alone: str = ""
    note: str = ""


def parts_of(
    protocol: Protocol, cases: Sequence[AnnotatedCase], *, folds: int = FOLDS, steps: Sequence[Triple] = STEPS
) -> list[Part]:
    """What each training of an experiment learns from and is scored on.

    `semi` (table 1) deals the annotated slices of each case into folds, uniform over every orientation; a network
    learns from those of all cases but one fold's. Of densely labelled cases it takes `DENSE_FOLD_SLICES`. `sparsity`
    (table 2) learns from one case at a time, from more and more of its slices, and is scored on the slices of that case
    that no step learns from; where labels are dense, on every voxel that lies in none. `full` (table 3) leaves one case
    out after the other.

    Args:
        protocol: which.
        cases: with all of their labels.
        folds: of `semi`.
        steps: of `sparsity`: slices orthogonal to z, y and x.

    Raises:
        InputError: if there are too few slices or cases.
    """
    if protocol == "full":
        return _leave_one_out(cases)
    return _folds(cases, folds) if protocol == "semi" else _growing(cases, steps)


def _folds(cases: Sequence[AnnotatedCase], folds: int) -> list[Part]:
    shares: list[dict[str, Share]] = [{} for _ in range(folds)]
    for case in cases:
        dense = _is_dense(case)
        slices = spread_slices(case.class_index, DENSE_FOLD_SLICES) if dense else case.annotated_slices
        try:
            parted = slice_folds(slices, folds)
        except InputError as error:
            raise InputError(f"{case.name}: {error}") from error
        for share, fold in zip(shares, parted, strict=True):
            share[case.name] = SlicesLeftOut(fold.held_out, fold.kept if dense else None)
    return [Part(f"subset {number}", share) for number, share in enumerate(shares, 1)]


def _growing(cases: Sequence[AnnotatedCase], steps: Sequence[Triple]) -> list[Part]:
    rows = zip(*(_steps_of(case, steps) for case in cases), strict=True)
    return [part for row in rows for part in row if part is not None]


def _steps_of(case: AnnotatedCase, steps: Sequence[Triple]) -> list[Part | None]:
    """What the steps learn of one case: more and more of the same slices; None where one before learns from them."""
    dense, annotated = _is_dense(case), case.annotated_slices
    places = structure(case.class_index) if dense else annotated.per_axis
    most = [max(counts) for counts in zip(*steps, strict=True)]
    ordered = [_one_after_the_other(there, count) for there, count in zip(places, most, strict=True)]
    used = AnnotatedSlices(*ordered)
    left = annotated.without(used)
    if not dense and not len(left):
        raise InputError(
            f"{case.name}: the steps learn from all of its annotated slices, {annotated}: none is left to score on. "
            "Take fewer, with --slices."
        )
    short = [
        f"{counted(len(indices), 'slice')} of {axis}"
        for axis, indices, count in zip(AXES, ordered, most, strict=True)
        if len(indices) < count
    ]
    learned = [
        AnnotatedSlices(*(indices[:count] for indices, count in zip(ordered, counts, strict=True))) for counts in steps
    ]
    again = [each in learned[:number] for number, each in enumerate(learned)]
    notes = []
    if short:
        notes.append(f"{case.name} has only {' and '.join(short)}: rows that name more learn from all of them.")
    if any(again):
        notes.append(f"Rows in which {case.name} would learn from the same slices again leave it out.")
    return [
        None
        if seen
        else Part(
            named(counts),
            {case.name: SlicesLearned(each, used) if dense else SlicesLeftOut(left, each)},
            case.name,
            " ".join(notes),
        )
        for counts, each, seen in zip(steps, learned, again, strict=True)
    ]


def _leave_one_out(cases: Sequence[AnnotatedCase]) -> list[Part]:
    if len(cases) < 2:
        raise InputError("To leave one volume out there must be two or more. Take the protocol 'semi' or 'sparsity'.")
    return [
        Part(f"without {out.name}", {case.name: WholeCase(learned=case is not out) for case in cases}) for out in cases
    ]


def spread_slices(class_index: NDArray[np.int16], counts: Triple) -> AnnotatedSlices:
    """So many slices orthogonal to z, y and x, in the middle of equal stretches of what is not the most frequent class.

    Args:
        class_index: ``(z, y, x)``, dense.
        counts: along z, y, x; at most as many slices are taken as there are.
    """
    return AnnotatedSlices(
        *(_evenly(places, count) for places, count in zip(structure(class_index), counts, strict=True))
    )


def structure(class_index: NDArray[np.int16]) -> list[Sequence[int]]:
    """Along each axis, the slices through what is not the most frequent class; all of them where there is only one."""
    values, voxels = np.unique(class_index, return_counts=True)
    inside_it = class_index != values[voxels.argmax()]
    found: list[Sequence[int]] = []
    for axis, length in enumerate(class_index.shape):
        inside = np.flatnonzero(inside_it.any(axis=tuple(other for other in range(3) if other != axis)))
        found.append(inside.tolist() or list(range(length)))
    return found


def _evenly(places: Sequence[int], count: int) -> tuple[int, ...]:
    """The middle of each of so many equal stretches of some places, at most all of them."""
    count = min(count, len(places))
    return tuple(places[int((number + 0.5) * len(places) / count)] for number in range(count))


def _one_after_the_other(places: Sequence[int], count: int) -> tuple[int, ...]:
    """Some of the places, at most all, each where it brings them nearest to a chosen one: the first is the median."""
    at = np.asarray(places, np.float64)
    apart = np.abs(at[:, None] - at)
    nearest = np.full(len(at), np.inf)
    chosen: list[int] = []
    for _ in range(min(count, len(at))):
        best = int(np.minimum(apart, nearest).sum(axis=1).argmin())
        chosen.append(places[best])
        nearest = np.minimum(nearest, apart[best])
    return tuple(chosen)


def _is_dense(case: AnnotatedCase) -> bool:
    return bool((case.class_index != UNLABELED).all())
