"""Which labels of a case an experiment learns from, and which it is scored on. No voxel is ever both."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.folds import hold_out
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.annotation.slices import AnnotatedSlices

ClassIndex = NDArray[np.int16]


class Share(Protocol):
    """Parts the labels of a case."""

    def parted(self, class_index: ClassIndex) -> tuple[ClassIndex, ClassIndex]:
        """The labels to learn from and those to score on.

        Args:
            class_index: ``(z, y, x)``; not changed.

        Returns:
            Two maps, `UNLABELED` where a label is not of that part.
        """


@dataclass(frozen=True)
class WholeCase:
    """All labels of a case: learned from, or scored on."""

    learned: bool

    def parted(self, class_index: ClassIndex) -> tuple[ClassIndex, ClassIndex]:
        """As `Share.parted`."""
        nothing = np.full_like(class_index, UNLABELED)
        return (class_index, nothing) if self.learned else (nothing, class_index)


@dataclass(frozen=True)
class SlicesLeftOut:
    """Slices to score on, whose voxels are unlabelled in training also where a slice that is learned from crosses them.

    Attributes:
        left_out: scored on.
        learned: learned from; None are all other labels.
    """

    left_out: AnnotatedSlices
    learned: AnnotatedSlices | None = None

    def parted(self, class_index: ClassIndex) -> tuple[ClassIndex, ClassIndex]:
        """As `Share.parted`."""
        learned, scored = hold_out(class_index, self.left_out)
        return (learned if self.learned is None else _within(learned, self.learned)), scored


@dataclass(frozen=True)
class SlicesLearned:
    """Slices of dense labels to learn from; scored is what lies in no slice that any step of an experiment learns from.

    Attributes:
        learned: of this step.
        used: of all steps.
    """

    learned: AnnotatedSlices
    used: AnnotatedSlices

    def parted(self, class_index: ClassIndex) -> tuple[ClassIndex, ClassIndex]:
        """As `Share.parted`."""
        scored, _ = hold_out(class_index, self.used)
        return _within(class_index, self.learned), scored


def _within(class_index: ClassIndex, slices: AnnotatedSlices) -> ClassIndex:
    return hold_out(class_index, slices)[1]
