"""Which slices to annotate next: those that leave least of what the model is unsure of far from an annotated slice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.slices import AnnotatedSlices, find_annotated_slices
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES

ANNOTATED = 0.5
"""Of a slice with labels: a slice with more is annotated."""
PAINTED = 0.25
"""Of what the model is unsure of in a slice, in its labels: where somebody painted in it, it is annotated with more."""
TAILS = 0.01
"""Of what the model is unsure of, on each side of the slices among which the rest lies."""


@dataclass(frozen=True)
class Suggestion:
    """A slice to annotate.

    Attributes:
        axis: the array axis that it is orthogonal to: 0 for z, 1 for y, 2 for x.
        index: of the slice, from 0.
        gain: by how much of the extent of what the model is unsure of that comes nearer to an annotated slice of this
            orientation, on average, 0–1.
        uncertainty: mean over its voxels, 0–1.
        distance: to the nearest annotated slice of its orientation, in the unit of the spacing; infinite without one.
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

    Each orientation for itself is to have its annotated slices where the model is unsure: a slice shows of the volume
    what no slice of another orientation shows. What is wanted are slices from which that lies least far on average,
    the medians of its profile along the axis (k-median, greedily). With equal uncertainty everywhere they are spread
    out along each axis, nearly as the paper's. Distances are counted in slices and relative to the extent of what the
    model is unsure of, so that no axis comes first for being long, or coarsely sampled. Of two slices that bring as
    much, the one with twice the voxels counts twice.

    Args:
        uncertainty: ``(z, y, x)``, 0 where the model is sure and 1 where it is undecided.
        labelled: ``(z, y, x)``, True where there is a label. A slice need not be labelled everywhere to be annotated.
        spacing: distance between voxel centres along z, y, x.
        count: how many slices.

    Returns:
        The slices, that which counts most first; fewer where the model is sure of all that is not annotated.

    Raises:
        InputError: if fewer than one is asked for.
    """
    if count < 1:
        raise InputError(f"Expected one slice or more to suggest. Received: {count}")
    unsure = np.where(labelled, np.float32(0), uncertainty)
    painted = find_annotated_slices(labelled)
    orientations = []
    for others, worked_in in zip(((1, 2), (0, 2), (0, 1)), painted.per_axis, strict=True):
        left, whole = (of.sum(axis=others, dtype=np.float64) for of in (unsure, uncertainty))
        annotated = labelled.mean(axis=others) > ANNOTATED
        annotated[list(worked_in)] |= (left <= (1 - PAINTED) * whole)[list(worked_in)]
        orientations.append(_Orientation(left, np.flatnonzero(annotated).tolist(), voxels=unsure.size // len(left)))
    chosen: list[Suggestion] = []
    while len(chosen) < count:
        best = max(orientations, key=lambda each: each.gain * each.voxels)
        if best.gain <= 0:
            break
        axis, gain = orientations.index(best), best.gain
        index, distance = best.take()
        mean = float(np.take(uncertainty, index, axis=axis).mean())
        chosen.append(Suggestion(axis, index, gain, mean, distance * spacing[axis]))
    return chosen


class _Orientation:
    """The slices along an axis.

    Attributes:
        gain: of the best one, that `take` would take.
        voxels: of each.
    """

    def __init__(self, unsure: NDArray[np.float64], annotated: Sequence[int], voxels: int) -> None:
        """Begin with what is annotated.

        Args:
            unsure: of each slice.
            annotated: indices of slices.
            voxels: of each.
        """
        self.voxels = voxels
        self._places = np.arange(len(unsure), dtype=np.float64)
        self._nearest = np.full(len(unsure), np.inf)
        self._share = unsure / max(unsure.sum(), np.finfo(float).tiny)
        first, last = np.searchsorted(self._share.cumsum(), (TAILS, 1 - TAILS))
        self._extent = last - first + 1
        for index in annotated:
            self._nearest = np.minimum(self._nearest, self._apart(index))
        self._find()

    def take(self) -> tuple[int, float]:
        """Annotate the best slice, and say how far it is from the nearest annotated one, in slices."""
        index, distance = self._best, float(self._nearest[self._best])
        self._nearest = np.minimum(self._nearest, self._apart(index))
        self._find()
        return index, distance

    def _find(self) -> None:
        nearest = np.minimum(self._nearest, self._extent)
        gains = [np.maximum(nearest - self._apart(index), 0) @ self._share for index in range(len(nearest))]
        self._best = int(np.argmax(gains))
        self.gain = float(gains[self._best] / self._extent)

    def _apart(self, index: int) -> NDArray[np.float64]:
        """Of each slice, from this one."""
        return np.abs(self._places - index)


def as_slices(suggestions: Sequence[Suggestion]) -> AnnotatedSlices:
    """The slices, by axis."""
    z, y, x = (tuple(each.index for each in suggestions if each.axis == axis) for axis in range(3))
    return AnnotatedSlices(z, y, x)
