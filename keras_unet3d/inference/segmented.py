"""What a segmentation gives, before it is written: labels as the annotator paints them, read part by part."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.inference.postprocessing import ClassChange
from keras_unet3d.inference.results import Outcome
from keras_unet3d.volumes.slabs import slabs
from keras_unet3d.volumes.voxels import Part, Voxels


class Segmented:
    """What came out, before it is written.

    Attributes:
        labels: the annotator's values ``(z, y, x)``, read part by part.
        counts: voxels of each class.
        changes: what post-processing did.
        probabilities: float32 ``(z, y, x, class)``, None unless wanted.
        uncertainty: float32 ``(z, y, x, 1)``, None unless wanted.
    """

    def __init__(
        self,
        outcome: Outcome,
        scheme: LabelScheme,
        kept: NDArray[np.int16] | None,
        changes: tuple[ClassChange, ...],
    ) -> None:
        """Take what came of the tiles, and what stays as annotated."""
        labels = _Labels(outcome.classes, scheme, kept)
        self.labels: Voxels = labels
        self.probabilities = outcome.probabilities
        self.uncertainty = outcome.uncertainty
        self.changes = changes
        self.counts: NDArray[np.int64] = np.zeros(len(scheme.values), np.int64)
        for box in slabs(labels):
            self.counts += np.bincount(labels.classes(box.slices).ravel(), minlength=len(self.counts))


class _Labels:
    """Class indices as the annotator's values, and what was annotated as it was."""

    def __init__(self, classes: Voxels, scheme: LabelScheme, kept: NDArray[np.int16] | None) -> None:
        self._classes, self._scheme, self._kept = classes, scheme, kept
        self.shape, self.ndim = classes.shape, classes.ndim
        self.dtype = scheme.dtype

    def classes(self, part: Part) -> NDArray[Any]:
        found = self._classes[part]
        if self._kept is None:
            return found
        kept = self._kept[part]
        return np.where(kept == UNLABELED, found, kept.astype(found.dtype))

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        return self._scheme.label_values(self.classes(part))
