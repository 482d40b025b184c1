"""Annotations on a grid of another spacing, from which no annotated slice is lost."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.volumes.resampling import AxisStep, axis_steps
from keras_unet3d.volumes.volume import Grid

_ROUNDING = 1e-6
"""Of a source voxel: what lies so near to the edge of a voxel lies on it."""


def resampled_labels(class_index: NDArray[np.int16], of: Grid, onto: Grid) -> NDArray[np.int16]:
    """Class indices on another grid of the same place: those of the nearest labels.

    An annotated slice is one voxel thick: where voxels get longer, the nearest ones would miss most slices. Each voxel
    takes the label that is nearest to its centre, of those up to half its edge away along each axis, and is unlabelled
    only where there is none; the nearest voxel always counts. Dense labels come out as those of the nearest voxels.

    Args:
        class_index: ``(z, y, x)`` on the grid `of`, `UNLABELED` where there is no label.
        of: any.
        onto: with the same first corner and directions.
    """
    candidates = [_Candidates(step, length) for step, length in zip(axis_steps(of, onto), onto.shape, strict=True)]
    z, y, x = (axis.index[0] for axis in candidates)
    labels = class_index[np.ix_(z, y, x)]
    if max(len(axis.index) for axis in candidates) == 1 or (labels != UNLABELED).all():
        return labels
    edges = np.array(of.spacing)
    distance = np.where(labels == UNLABELED, np.float32(np.inf), _apart(candidates, (0, 0, 0), edges))
    for chosen in product(*(range(len(axis.index)) for axis in candidates)):
        z, y, x = (axis.index[number] for axis, number in zip(candidates, chosen, strict=True))
        found, apart = class_index[np.ix_(z, y, x)], _apart(candidates, chosen, edges)
        nearer = (found != UNLABELED) & (apart < distance)
        labels[nearer], distance[nearer] = found[nearer], apart[nearer]
    return labels


class _Candidates:
    """The voxels of the source that lie in each voxel of an axis.

    Attributes:
        index: ``(candidate, voxel)``, the nearest one first, which is always one.
        apart: how far their centres are, in source voxels; infinite for what is no candidate.
    """

    def __init__(self, axis: AxisStep, length: int) -> None:
        place = axis.place(np.arange(length))
        nearest = np.clip(np.ceil(place - 0.5), 0, axis.length - 1).astype(np.intp)
        reach = axis.step / 2 + _ROUNDING
        low, high = np.ceil(place - reach).astype(np.intp), np.floor(place + reach).astype(np.intp)
        low[0], high[-1] = 0, axis.length - 1  # all of the source lies in some voxel
        most = max(int((high - nearest).max()), int((nearest - low).max()), 0)
        offsets = [0, *(offset for far in range(1, most + 1) for offset in (-far, far))]
        index = np.clip([nearest + offset for offset in offsets], 0, axis.length - 1)
        inside = (index >= low) & (index <= high) & (index == [nearest + offset for offset in offsets])
        inside[0] = True
        self.index = index
        self.apart = np.where(inside, np.abs(index - place), np.inf)


def _apart(candidates: list[_Candidates], chosen: tuple[int, ...], edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Squared distances in space of one candidate along each axis, ``(z, y, x)``."""
    z, y, x = (
        np.square(axis.apart[number] * edge) for axis, number, edge in zip(candidates, chosen, edges, strict=True)
    )
    apart: NDArray[np.float32] = (z[:, None, None] + y[:, None] + x).astype(np.float32)
    return apart
