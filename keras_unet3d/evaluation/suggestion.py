"""Which slices to annotate next: those through much that the model is unsure of, far from what is annotated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES

LEAST_REACH = 4.0
"""Voxels: slices nearer to each other than this show much the same, however many there are."""
FIRST_REACH = 0.25
"""Of the mean edge of the volume, where nothing is annotated yet."""
CELLS = 250_000
"""The volume is looked at in so many cells of equal size at most: what a slice teaches is a sum over all of it."""
ANNOTATED = 0.5
"""Of a slice with labels: a slice with more is annotated already. Those that cross it leave lines in others."""


@dataclass(frozen=True)
class Suggestion:
    """A slice to annotate.

    Attributes:
        axis: the array axis that it is orthogonal to: 0 for z, 1 for y, 2 for x.
        index: of the slice, from 0.
        gain: by how much less is unknown in the volume once it is annotated, 0–1.
        uncertainty: mean over its voxels, 0–1.
        distance: mean of its voxels to the nearest annotated one, in the unit of the spacing.
    """

    axis: int
    index: int
    gain: float
    uncertainty: float
    distance: float

    @property
    def name(self) -> str:
        """``z=31``."""
        return f"{AXES[self.axis]}={self.index}"


def suggest_slices(
    uncertainty: NDArray[np.float32], labelled: NDArray[np.bool_], spacing: Sequence[float], count: int
) -> list[Suggestion]:
    """Choose slices one after the other, each as if those before it were annotated already.

    A label tells something of its surroundings: at a distance d from the nearest one exp(−d / l) is known, where l is
    the mean of d over the volume, at least `LEAST_REACH` voxels. What is unknown is the model's uncertainty times the
    rest. The slice is chosen that leaves the least of it: one through what the model is unsure of, with much of that on
    both sides, far from what is annotated. Slices that are annotated (`ANNOTATED`) are not named again.

    Args:
        uncertainty: ``(z, y, x)``, 0 where the model is sure and 1 where it is undecided.
        labelled: ``(z, y, x)``, True where there is a label.
        spacing: distance between voxel centres along z, y, x.
        count: how many slices.

    Returns:
        The slices, that which teaches most first; fewer where nothing unknown is left.

    Raises:
        InputError: if fewer than one is asked for.
    """
    if count < 1:
        raise InputError(f"Expected one slice or more to suggest. Received: {count}")
    distance = _distance(labelled, spacing)
    edges = np.asarray(spacing, np.float64)
    reach = float(distance.mean()) if labelled.any() else FIRST_REACH * float(np.mean(edges * labelled.shape))
    reach = max(reach, LEAST_REACH * float(edges.mean()))
    unsure = np.where(labelled, np.float32(0), uncertainty)
    cells = _Cells(unsure, np.exp(-distance / np.float32(reach)), edges / reach, _unannotated(labelled))
    whole = cells.unknown
    chosen: list[Suggestion] = []
    while len(chosen) < count and cells.unknown > 0:
        axis, index, gain = cells.best_slice()
        if gain <= 0:
            break
        cells.learn(axis, index)
        plane = (slice(None),) * axis + (index,)
        apart = distance[plane].mean() if labelled.any() else np.inf
        chosen.append(Suggestion(axis, index, gain / whole, float(uncertainty[plane].mean()), float(apart)))
    return chosen


class _Cells:
    """A volume in cells of some voxels.

    Args:
        uncertainty: ``(z, y, x)``.
        known: ``(z, y, x)``, 0–1, from what is annotated.
        spacing: of the voxels along z, y, x, in units of the distance at which 1/e is known.
        slices: that may be chosen, their indices along z, y, x.
    """

    def __init__(
        self,
        uncertainty: NDArray[np.float32],
        known: NDArray[np.float32],
        spacing: NDArray[np.float64],
        slices: Sequence[NDArray[np.int64]],
    ) -> None:
        self._shape, self._spacing, self._slices = uncertainty.shape, spacing, slices
        size = max((uncertainty.size / CELLS) ** (1 / 3), 1.0)
        self._starts = [np.unique((np.arange(0, length, size)).astype(int)) for length in self._shape]
        self._uncertainty = self._sums(uncertainty)
        voxels = self._sums(np.ones_like(uncertainty))
        self._known = self._sums(known) / voxels
        self._centres = [
            (starts + np.append(starts[1:], length) - 1) / 2
            for starts, length in zip(self._starts, self._shape, strict=True)
        ]

    @property
    def unknown(self) -> float:
        """In all cells."""
        return float((self._uncertainty * (1 - self._known)).sum())

    def best_slice(self) -> tuple[int, int, float]:
        """The slice that leaves the least unknown: its axis, its index, and by how much that would be less."""
        best = (0, 0, 0.0)
        for axis, slices in enumerate(self._slices):
            for index in slices.tolist():
                gain = self._gain(axis, index)
                if gain > best[2]:
                    best = axis, index, gain
        return best

    def learn(self, axis: int, index: int) -> None:
        """Take a slice for annotated."""
        np.maximum(self._known, self._taught(axis, index), out=self._known)

    def _gain(self, axis: int, index: int) -> float:
        more = self._taught(axis, index) - self._known
        return float((self._uncertainty * np.maximum(more, 0)).sum())

    def _taught(self, axis: int, index: int) -> NDArray[np.float64]:
        """What a slice makes known of each cell; to be broadcast to ``(z, y, x)``."""
        known = np.exp(-np.abs(self._centres[axis] - index) * self._spacing[axis])
        return np.asarray(known.reshape([-1 if other == axis else 1 for other in range(3)]))

    def _sums(self, voxels: NDArray[np.float32]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = voxels.astype(np.float64)
        for axis, starts in enumerate(self._starts):
            sums = np.add.reduceat(sums, starts, axis=axis)
        return sums


def _unannotated(labelled: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Indices along z, y, x of the slices that are not annotated."""
    others = ((1, 2), (0, 2), (0, 1))
    return [np.flatnonzero(labelled.mean(axis=axes) <= ANNOTATED) for axes in others]


def _distance(labelled: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    """To the nearest label; infinite where there is none."""
    from scipy.ndimage import distance_transform_edt

    if not labelled.any():
        return np.full(labelled.shape, np.inf, np.float32)
    distance: NDArray[np.float32] = distance_transform_edt(~labelled, sampling=spacing).astype(np.float32)
    return distance


def as_slices(suggestions: Sequence[Suggestion]) -> AnnotatedSlices:
    """The slices, by axis."""
    z, y, x = (tuple(each.index for each in suggestions if each.axis == axis) for axis in range(3))
    return AnnotatedSlices(z, y, x)
