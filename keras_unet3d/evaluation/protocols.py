"""The experiments of Çiçek et al. 2016, section 4, on any labels: what is learned from, and what is scored.

`PAPER` has the paper's own results, in intersection over union.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

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
    "semi": {"3D without BN": [0.842], "3D with BN": [0.863], "2D with BN": [0.796]},
    "sparsity": {
        "x=1 y=1 z=1": [0.331, 0.483, 0.475],
        "x=2 y=2 z=1": [0.676, 0.579, 0.738],
        "x=3 y=3 z=2": [0.761, 0.808, 0.835],
        "x=5 y=5 z=3": [0.856, 0.849, 0.872],
    },
    "full": {"3D without BN": [0.723], "3D with BN": [0.704], "2D with BN": [0.547]},
}
"""`semi` and `full`: the average by network; `sparsity`: of the samples 1, 2 and 3 by slices, 3D with BN."""


@dataclass(frozen=True)
class Part:
    """One training of an experiment, whatever the network.

    Attributes:
        name: the row of the table.
        shares: by the name of the case.
    """

    name: str
    shares: Mapping[str, Share]


def parts_of(
    protocol: Protocol, cases: Sequence[AnnotatedCase], *, folds: int = FOLDS, steps: Sequence[Triple] = STEPS
) -> list[Part]:
    """What each training of an experiment learns from and is scored on.

    `semi` (table 1) deals the annotated slices of each case into folds, uniform over every orientation; a network
    learns from those of all cases but one fold's. Of densely labelled cases it takes `DENSE_FOLD_SLICES`. `sparsity`
    (table 2) learns from more and more slices of all cases and is scored on slices that no step learns from; where
    labels are dense, on every voxel that lies in none of them. `full` (table 3) leaves one case out after the other.

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
    parts: list[dict[str, Share]] = [{} for _ in steps]
    for case in cases:
        dense = _is_dense(case)
        chosen = [
            spread_slices(case.class_index, counts) if dense else _evenly(case.annotated_slices, counts)
            for counts in steps
        ]
        used = _union(chosen)
        left = case.annotated_slices.without(used)
        if not dense and not len(left):
            raise InputError(
                f"{case.name}: the steps learn from all of its annotated slices, {case.annotated_slices}: none is left "
                "to score on. Take fewer, with --slices."
            )
        for part, learned in zip(parts, chosen, strict=True):
            part[case.name] = SlicesLearned(learned, used) if dense else SlicesLeftOut(left, learned)
    return [Part(named(counts), shares) for counts, shares in zip(steps, parts, strict=True)]


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
    values, voxels = np.unique(class_index, return_counts=True)
    structure = class_index != values[voxels.argmax()]
    chosen = []
    for axis, count in enumerate(counts):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(structure.any(axis=others))
        places = inside if len(inside) else np.arange(class_index.shape[axis])
        chosen.append(_spread(places, count))
    return AnnotatedSlices(*chosen)


def _evenly(slices: AnnotatedSlices, counts: Triple) -> AnnotatedSlices:
    """So many of some slices."""
    z, y, x = (_spread(indices, count) for indices, count in zip(slices.per_axis, counts, strict=True))
    return AnnotatedSlices(z, y, x)


def _spread(places: Iterable[Any], count: int) -> tuple[int, ...]:
    """The middle of each of so many equal stretches of some places, at most all of them."""
    all_places = list(places)
    count = min(count, len(all_places))
    return tuple(int(all_places[int((number + 0.5) * len(all_places) / count)]) for number in range(count))


def _union(slices: Iterable[AnnotatedSlices]) -> AnnotatedSlices:
    every = list(slices)
    z, y, x = (tuple(index for each in every for index in each.per_axis[axis]) for axis in range(len(AXES)))
    return AnnotatedSlices(z, y, x)


def _is_dense(case: AnnotatedCase) -> bool:
    return bool((case.class_index != UNLABELED).all())
