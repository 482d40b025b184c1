"""What becomes of probabilities: reduced to labels as they come, and kept only where someone asked for them."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.resampling import ResampledClasses, ResampledVoxels
from keras_unet3d.volumes.volume import Grid
from keras_unet3d.volumes.voxels import Part, Voxels


class Sink(Protocol):
    """Takes voxels box by box."""

    def write(self, box: Box, voxels: NDArray[Any]) -> None:
        """Take a box."""


class Store(Voxels, Sink, Protocol):
    """Voxels that are written box by box: `HeldVoxels` in memory, `ScratchVoxels` on disk."""


class HeldVoxels:
    """An array in memory as a `Store`.

    Attributes:
        array: ``(z, y, x)`` or ``(z, y, x, channel)``.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        """Take the array that is written to."""
        self.array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Read a part."""
        return self.array[part]

    def write(self, box: Box, voxels: NDArray[Any]) -> None:
        """Write a box."""
        self.array[box.slices] = voxels


@dataclass(frozen=True, eq=False)
class Results:
    """Where the results of a segmentation go.

    Attributes:
        classes: the index of the most probable class of each voxel ``(z, y, x)``.
        probabilities: float32 ``(z, y, x, class)``, if wanted.
        uncertainty: float32 ``(z, y, x, 1)``, if wanted; see `entropy`.
    """

    classes: Store
    probabilities: Store | None = None
    uncertainty: Store | None = None

    def write(self, box: Box, voxels: NDArray[np.float32]) -> None:
        """Reduce the probabilities ``(z, y, x, class)`` of a box to what is wanted."""
        self.classes.write(box, voxels.argmax(axis=-1).astype(self.classes.dtype))
        if self.probabilities is not None:
            self.probabilities.write(box, voxels)
        if self.uncertainty is not None:
            self.uncertainty.write(box, entropy(voxels)[..., None])


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a segmentation gives, read part by part: `Results`, or what they are on another grid.

    Attributes:
        classes: class indices ``(z, y, x)``.
        probabilities: float32 ``(z, y, x, class)``, if wanted.
        uncertainty: float32 ``(z, y, x, 1)``, if wanted.
    """

    classes: Voxels
    probabilities: Voxels | None = None
    uncertainty: Voxels | None = None

    @classmethod
    def of(cls, results: "Results | Outcome", grid: Grid, onto: Grid) -> "Outcome":
        """Results on `grid` as they are on `onto`, a grid of the same place."""
        if grid == onto:
            return cls(results.classes, results.probabilities, results.uncertainty)
        return cls(
            ResampledClasses(results.classes, grid, onto),
            results.probabilities and ResampledVoxels(results.probabilities, grid, onto),
            results.uncertainty and ResampledVoxels(results.uncertainty, grid, onto),
        )


def class_dtype(classes: int) -> Any:
    """The type of a class index."""
    return np.uint8 if classes <= np.iinfo(np.uint8).max + 1 else np.uint16


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """How undecided the probabilities ``(…, class)`` of a voxel are: 0 where one class is sure, 1 where all are equal.

    Shannon's entropy, divided by the logarithm of the number of classes. Of several networks it is that of their mean:
    it is high where each of them is unsure, and where they disagree.
    """
    classes = probabilities.shape[-1]
    if classes == 1:
        return np.zeros(probabilities.shape[:-1], np.float32)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    total: NDArray[np.float32] = -np.einsum("...c,...c->...", probabilities, logarithms) / np.float32(np.log(classes))
    return np.clip(total, 0, 1)
