"""Scores of a label map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.metrics import Overlap, Scores
from keras_unet3d.volumes import Volume, read_labels

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def evaluate(
    prediction: str | Path, truth: str | Path, *, unlabeled: int | None = None, scheme: LabelScheme | None = None
) -> Scores:
    """Score a label map against the truth, at labelled voxels only.

    Without a scheme, classes are the values that either of the two holds, named as the files name them.

    Args:
        prediction: a dense label map.
        truth: labels on the same grid, dense or sparse.
        unlabeled: the value of voxels without a label in the truth.
        scheme: names the classes; that of a model is ``read_description(model).scheme``.

    Returns:
        IoU and Dice for each class, and their means.

    Raises:
        InputError: if a file cannot be read, or the two do not share a grid.
    """
    import numpy as np

    found, true = read_labels(prediction), read_labels(truth)
    if not found.grid.agrees(true.grid):
        raise InputError(
            f"{prediction}: {found.grid}; the truth {truth}: {true.grid}. Both must lie on the same grid: segment the "
            "image that was annotated."
        )
    if scheme is None:
        values = {int(value) for volume in (found, true) for value in np.unique(volume.voxels)}
        scheme = LabelScheme.from_values(values, {**found.segments, **true.segments}, unlabeled)
    elif unlabeled is not None:
        scheme = scheme.with_unlabeled(unlabeled)
    overlap = Overlap.of(_class_index(true, scheme), _class_index(found, scheme), scheme.classes)
    return Scores.of(overlap, scheme)


def _class_index(labels: Volume, scheme: LabelScheme) -> NDArray[np.int16]:
    try:
        return scheme.class_index(labels.voxels)
    except InputError as error:
        raise InputError(f"{labels.source}: {error}") from error
