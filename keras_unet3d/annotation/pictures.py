"""Slices of a volume as pictures, with their labels painted over."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED, Colour
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.box import Triple

Picture = NDArray[np.uint8]
"""(row, column, 3): red, green, blue."""

PALETTE: tuple[Colour, ...] = (
    (255, 200, 0),
    (210, 30, 100),
    (60, 130, 220),
    (40, 180, 90),
    (160, 90, 210),
    (240, 120, 40),
    (0, 190, 200),
    (150, 110, 70),
)
"""Colours of classes that bring none."""


def class_colours(colours: Sequence[Colour | None]) -> list[Colour]:
    """Each class's own colour, or one of `PALETTE` where it has none."""
    return [own or PALETTE[index % len(PALETTE)] for index, own in enumerate(colours)]


def slice_panel(
    image: NDArray[Any],
    label_maps: Sequence[NDArray[Any]],
    *,
    axis: str,
    at: Triple,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    colours: Sequence[Colour | None],
    longest: int = 256,
) -> Picture:
    """Show a slice of an image alone and then under each of some label maps, side by side.

    Args:
        image: (z, y, x, channel). Two or three channels are shown as red, green and blue, any other number as grey;
            each from its 1st to its 99th percentile in this slice.
        label_maps: class indices (z, y, x), such as the annotation, the prediction and the truth. Voxels that are
            unlabelled (−1) show the image as it is.
        axis: the slice is orthogonal to this one: "z", "y" or "x".
        at: the voxel (z, y, x) that the slice goes through.
        spacing: distance between voxel centres along z, y, x: pixels are square in space.
        colours: of the classes, None for one of `PALETTE`.
        longest: pixels of the longer side of each slice.
    """
    dimension = AXES.index(axis)
    size = slice_size(image.shape[:3], axis, spacing, longest)
    plain = enlarged(_visible(image.take(at[dimension], axis=dimension)), size)
    painted = [
        _painted(plain, enlarged(labels.take(at[dimension], axis=dimension), size), class_colours(colours))
        for labels in label_maps
    ]
    return side_by_side([plain, *painted])


def slice_size(shape: Sequence[int], axis: str, spacing: Sequence[float], longest: int) -> tuple[int, int]:
    """Rows and columns of pixels, square in space, of a slice of a volume of `shape` (z, y, x)."""
    height, width = (shape[other] * spacing[other] for other in range(3) if AXES[other] != axis)
    scale = longest / max(height, width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """Pictures of one height, with white between."""
    gap = np.full((len(pictures[0]), 4, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)


def enlarged(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A slice (row, column, …) in so many rows and columns: each pixel shows the voxel that it lies in."""
    row, column = (np.arange(new) * old // new for new, old in zip(size, plane.shape, strict=False))
    return plane[np.ix_(row, column)]


def _visible(plane: NDArray[Any]) -> Picture:
    """Grey values (row, column, channel) as a picture."""
    low, high = np.percentile(plane, (1, 99), axis=(0, 1))
    grey = np.clip((plane - low) / np.where(high > low, high - low, 1), 0, 1)
    channels = plane.shape[-1]
    if channels not in (2, 3):
        grey = np.repeat(grey.mean(axis=-1, keepdims=True), 3, axis=-1)
    elif channels == 2:
        grey = np.concatenate([grey, np.zeros_like(grey[..., :1])], axis=-1)
    picture: Picture = np.rint(255 * grey).astype(np.uint8)
    return picture


def _painted(plain: Picture, labels: NDArray[Any], colours: Sequence[Colour]) -> Picture:
    """Lay the classes over a picture: translucent, with an opaque contour where two labels meet."""
    labelled = labels != UNLABELED
    paint = np.array(colours, np.float32)[np.where(labelled, labels, 0)]
    edge = np.zeros(labels.shape, bool)
    for here, there in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = labels[here] != labels[there]
        edge[here] |= differ
        edge[there] |= differ & ~labelled[here]  # one line between two classes, all around one in what is unlabelled
    opacity = np.where(edge, 1.0, 0.3) * labelled
    picture: Picture = np.rint(plain + opacity[..., None] * (paint - plain)).astype(np.uint8)
    return picture
