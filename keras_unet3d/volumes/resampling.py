"""Volumes on a grid of the same place, direction and extent, but of another spacing, made part by part as it is read.

Voxel `i` of an axis lies at (i + ½) times the spacing behind the volume's first corner, which both grids share.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import ceil, floor, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.slabs import SLAB_BYTES
from keras_unet3d.volumes.spacing import SAME, Spacing
from keras_unet3d.volumes.volume import Grid
from keras_unet3d.volumes.voxels import Part, Voxels, read_together

_THICK = 8
"""Voxels along each axis of a block, at least, where memory allows: thin ones read the same surroundings again."""
_TIE = 1e-4
"""Shares of two classes that differ by less are equal to rounding."""


def resampled_grid(grid: Grid, spacing: Spacing) -> Grid:
    """The grid of about the same extent with another spacing; its first corner is that of `grid`.

    The last corner lies up to half a new voxel from where it was, and there is at least one voxel. An axis whose
    spacing differs by no more than `SAME` stays as it is.
    """
    shape, edges = [], []
    for length, old, new in zip(grid.shape, grid.spacing, spacing.in_unit(grid.unit), strict=True):
        same = 1 / SAME <= old / new <= SAME
        shape.append(length if same else max(1, floor(length * old / new + 0.5)))
        edges.append(old if same else new)
    half = (np.array(edges) - np.array(grid.spacing))[::-1] / 2
    x, y, z = (float(value) for value in np.array(grid.origin) + np.array(grid.direction) @ half)
    return replace(grid, shape=(shape[0], shape[1], shape[2]), spacing=(edges[0], edges[1], edges[2]), origin=(x, y, z))


@dataclass(frozen=True)
class AxisStep:
    """An axis of another spacing.

    Attributes:
        length: voxels of the source.
        step: how many of them one voxel is long.
    """

    length: int
    step: float

    def place(self, index: Any) -> Any:
        """Where a voxel's centre lies, as an index of the source, a fraction."""
        return (index + 0.5) * self.step - 0.5

    @property
    def sigma(self) -> float:
        """Of the Gaussian, in source voxels, that makes of a voxel's point spread that of a longer one, else 0.

        Both are taken as Gaussians whose full width at half maximum is the voxel's edge (Cardoso et al. 2015, Scale
        factor point spread function matching: beyond aliasing in image resampling).
        """
        return math.sqrt(max(self.step**2 - 1, 0) / (8 * math.log(2)))

    @property
    def radius(self) -> int:
        """Voxels of the source on each side that the Gaussian reaches."""
        return ceil(4 * self.sigma)

    def needed(self, start: int, stop: int) -> tuple[int, int]:
        """Which voxels of the source those from `start` up to `stop` are made of."""
        first, last = floor(self.place(start)) - self.radius, floor(self.place(stop - 1)) + 1 + self.radius
        first = min(max(first, 0), self.length - 1)
        return first, max(min(last + 1, self.length), first + 1)


def axis_steps(of: Grid, onto: Grid) -> tuple[AxisStep, AxisStep, AxisStep]:
    """Along z, y and x, from one grid of a place to another."""
    z, y, x = (
        AxisStep(length, new / old)
        for length, old, new in zip(of.shape, of.spacing, onto.in_unit(of.unit).spacing, strict=True)
    )
    return z, y, x


class _Resampled(ABC):
    """What resampled images and classes have in common."""

    def __init__(self, source: Voxels, of: Grid, onto: Grid) -> None:
        """Take what is resampled.

        Args:
            source: on the grid `of`.
            of: any.
            onto: with the same first corner and directions.
        """
        if source.shape[:3] != of.shape:
            raise ValueError(f"Expected voxels of {named(of.shape)}. Received: {named(source.shape[:3])}")
        self._source, self._axes = source, axis_steps(of, onto)
        self.shape = (*onto.shape, *source.shape[3:])
        self.ndim = source.ndim
        self.dtype = source.dtype
        stored = zip(self._axes, read_together(source), strict=True)
        self.together = tuple(max(_THICK, ceil(length / axis.step)) for axis, length in stored)

    def __getitem__(self, part: Part, /) -> NDArray[Any]:
        """Resample a part, in blocks that take little memory, also of the source."""
        box = Box.of(part, self.shape)
        voxels = np.empty((*box.shape, *self.shape[3:]), self.dtype)
        read = ceil(np.dtype(np.float32).itemsize * prod(self.shape[3:]) * max(1, prod(a.step for a in self._axes)))
        z, y, x = self.together
        for block in blocks(box, read, (z, y, x), SLAB_BYTES):
            ranges = [axis.needed(*ends) for axis, *ends in zip(self._axes, block.start, block.stop, strict=True)]
            source = Box.at([first for first, _ in ranges], [stop - first for first, stop in ranges])
            inside = block.shifted([-start for start in box.start])
            voxels[inside.slices] = self._made_of(self._source[source.slices], source.start, block)
        return voxels

    @abstractmethod
    def _made_of(self, part: NDArray[Any], start: Triple, block: Box) -> NDArray[Any]:
        """A block, of the part of the source that begins at `start`."""

    def _interpolated(self, part: NDArray[np.float32], start: Triple, block: Box) -> NDArray[np.float32]:
        """Smoothed along axes that get coarser, then linear between voxel centres, and constant beyond the last."""
        import SimpleITK
        from scipy import ndimage

        for number, axis in enumerate(self._axes):
            if axis.radius:
                part = ndimage.gaussian_filter1d(part, axis.sigma, number, mode="nearest", radius=axis.radius)
        places = zip(self._axes, block.start, start, strict=True)
        result = SimpleITK.Resample(
            SimpleITK.GetImageFromArray(part, isVector=part.ndim == 4),
            list(block.shape[::-1]),
            SimpleITK.Transform(3, SimpleITK.sitkIdentity),
            SimpleITK.sitkLinear,
            [axis.place(first) - begin for axis, first, begin in places][::-1],
            [axis.step for axis in self._axes][::-1],
            np.eye(3).ravel().tolist(),
            0.0,
            SimpleITK.sitkFloat32 if part.ndim == 3 else SimpleITK.sitkVectorFloat32,
            True,  # beyond the last centre
        )
        voxels: NDArray[np.float32] = SimpleITK.GetArrayFromImage(result)
        return voxels.reshape(*block.shape, *part.shape[3:])


class ResampledVoxels(_Resampled):
    """An image, or probabilities, float32 ``(z, y, x, channel)``, by linear interpolation.

    Where voxels get longer they are smoothed first, so that what is finer than they are does not become noise. Parts
    are those of the whole, to rounding.
    """

    def __init__(self, source: Voxels, of: Grid, onto: Grid) -> None:
        """Take an image on the grid `of`, to be read on the grid `onto`."""
        super().__init__(source, of, onto)
        self.dtype = np.dtype(np.float32)

    def _made_of(self, part: NDArray[Any], start: Triple, block: Box) -> NDArray[Any]:
        return self._interpolated(part.astype(np.float32, copy=False), start, block)


class ResampledClasses(_Resampled):
    """Class indices ``(z, y, x)``: each voxel takes the class that has the largest share in it.

    The share is that of the class's mask, resampled as an image is: borders are smoother than those of the nearest
    voxels. Of equal ones the lowest class is taken; no class appears that the surroundings do not have.
    """

    def _made_of(self, part: NDArray[Any], start: Triple, block: Box) -> NDArray[Any]:
        first, *others = np.flatnonzero(np.bincount(part.ravel()))
        classes = np.full(block.shape, first, self.dtype)
        if not others:
            return classes
        largest = self._interpolated((part == first).astype(np.float32), start, block)
        for index in others:
            share = self._interpolated((part == index).astype(np.float32), start, block)
            larger = share > largest + _TIE
            classes[larger] = index
            np.maximum(largest, share, out=largest)
        return classes
