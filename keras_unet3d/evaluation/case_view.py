"""What is looked at of one volume: the image, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.pictures import class_colours
from keras_unet3d.volumes import Grid
from keras_unet3d.volumes.voxels import Part, Voxels

AGREE, MISSED, TOO_MUCH, CONFUSED, UNKNOWN = 1, 2, 3, 4, 5
"""Kinds of voxels in `disagreement`; 0 is background that both see."""


@dataclass(frozen=True, eq=False)
class CaseView:
    """A volume and its maps, in memory or read part by part.

    Attributes:
        name: of the case.
        image: ``(z, y, x, channel)``.
        grid: of the image and of all maps.
        channels: names of the channels.
        scheme: of the classes.
        prediction: class indices ``(z, y, x)``, None where there is none.
        truth: class indices that the prediction is compared with, `UNLABELED` where there is no label.
        truth_name: what the truth is called.
        annotation: class indices that training saw, where they are not the truth.
        uncertainty: ``(z, y, x)``, in `steps_of_uncertainty`.
    """

    name: str
    image: Voxels
    grid: Grid
    channels: Sequence[str]
    scheme: LabelScheme
    prediction: Voxels | None = None
    truth: Voxels | None = None
    truth_name: str = "Annotation"
    annotation: Voxels | None = None
    uncertainty: Voxels | None = None

    @property
    def background(self) -> int | None:
        """The class that is no structure, None where every class is."""
        return self.scheme.background

    @property
    def colours(self) -> list[tuple[int, int, int]]:
        """Of the classes."""
        return class_colours(self.scheme.colours)

    @property
    def maps(self) -> dict[str, Voxels]:
        """Maps of classes by what they are called."""
        named = {"Annotation": self.annotation, self.truth_name: self.truth, "Prediction": self.prediction}
        return {name: voxels for name, voxels in named.items() if voxels is not None}


def disagreement(truth: NDArray[Any], prediction: NDArray[Any], background: int | None) -> NDArray[np.uint8]:
    """In what two maps of class indices of any shape differ.

    The terms are those of Çiçek et al. 2016: `AGREE` is a true positive, `MISSED` a false negative (structure that is
    predicted as background), `TOO_MUCH` a false positive (background that is predicted as structure). `CONFUSED`, one
    structure taken for another, is both at once; all differences are, where no class is the background. `UNKNOWN` is
    what has no label in the truth.
    """
    behind = -2 if background is None else background
    kinds = np.zeros(truth.shape, np.uint8)
    same = truth == prediction
    kinds[same & (truth != behind)] = AGREE
    kinds[~same] = CONFUSED
    kinds[~same & (prediction == behind)] = MISSED
    kinds[~same & (truth == behind)] = TOO_MUCH
    kinds[truth < 0] = UNKNOWN
    return kinds


STEPS = 250
"""Steps of uncertainty: what is kept of it, in a byte."""


def steps_of_uncertainty(uncertainty: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Uncertainty from 0 to 1 in steps of 1 / `STEPS`."""
    steps: NDArray[np.uint8] = np.rint(np.clip(uncertainty, 0, 1) * STEPS).astype(np.uint8)
    return steps


@dataclass(frozen=True, eq=False)
class Derived:
    """Voxels that are computed from others as they are read.

    Attributes:
        sources: on one grid.
        compute: from a part of each to the same part, of `dtype`.
        dtype: of the result.
    """

    sources: tuple[Voxels, ...]
    compute: Any
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along z, y, x."""
        return self.sources[0].shape[:3]

    @property
    def ndim(self) -> int:
        """Without channels."""
        return 3

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read and compute a part."""
        result: NDArray[Any] = self.compute(*(source[part] for source in self.sources)).astype(self.dtype, copy=False)
        return result
