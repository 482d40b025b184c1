"""Which slices to annotate next: those through much that the model is unsure of, far from what is annotated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES


@dataclass(frozen=True)
class Suggestion:
    """A slice to annotate.

    Attributes:
        axis: the array axis that it is orthogonal to: 0 for z, 1 for y, 2 for x.
        index: of the slice, from 0.
        gain: what it would teach, as a share of what is unknown in the volume, 0–1.
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

    What is unknown at a voxel is the model's uncertainty times 1 − exp(−d / l): d is the distance to the nearest voxel
    that is annotated or lies in a chosen slice, l the mean of d over the volume before any is chosen. So neighbours of
    an annotated slice teach little, and the less so the fewer slices there are. The slice through the largest sum of
    it is chosen.

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
    from scipy.ndimage import distance_transform_edt

    if count < 1:
        raise InputError(f"Expected one slice or more to suggest. Received: {count}")
    if labelled.any():
        distance = distance_transform_edt(~labelled, sampling=spacing).astype(np.float32)
    else:
        distance = np.full(labelled.shape, np.inf, np.float32)
    reach = float(distance.mean())
    chosen: list[Suggestion] = []
    whole = 0.0
    for _ in range(count):
        unknown = _unknown(uncertainty, distance, reach)
        whole = whole or float(unknown.sum(dtype=np.float64))
        sums = [unknown.sum(axis=_across(axis), dtype=np.float64) for axis in range(3)]
        axis = int(np.argmax([each.max() for each in sums]))
        index = int(sums[axis].argmax())
        if not sums[axis][index] > 0:
            break
        plane = (slice(None),) * axis + (index,)
        chosen.append(
            Suggestion(
                axis,
                index,
                float(sums[axis][index]) / whole,
                float(uncertainty[plane].mean()),
                float(distance[plane].mean()),
            )
        )
        if not np.isfinite(reach):  # nothing was annotated: the first slice is what the next are measured from
            reach = float(_to_slice(axis, index, labelled.shape, spacing).mean())
        np.minimum(distance, _to_slice(axis, index, labelled.shape, spacing), out=distance)
    return chosen


def as_slices(suggestions: Sequence[Suggestion]) -> AnnotatedSlices:
    """The slices, by axis."""
    z, y, x = (tuple(each.index for each in suggestions if each.axis == axis) for axis in range(3))
    return AnnotatedSlices(z, y, x)


def _unknown(uncertainty: NDArray[np.float32], distance: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    if not np.isfinite(reach):
        return uncertainty
    if reach == 0:
        return np.zeros_like(uncertainty)
    unknown: NDArray[np.float32] = uncertainty * -np.expm1(-distance / np.float32(reach))
    return unknown


def _across(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)


def _to_slice(axis: int, index: int, shape: Sequence[int], spacing: Sequence[float]) -> NDArray[np.float32]:
    """Distances to a slice, to be broadcast to ``(z, y, x)``."""
    along = np.abs(np.arange(shape[axis], dtype=np.float32) - index) * np.float32(spacing[axis])
    return along.reshape([-1 if other == axis else 1 for other in range(3)])
