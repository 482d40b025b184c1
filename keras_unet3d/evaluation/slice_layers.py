"""A slice as layers that lie on each other: the image, and what is said of it as translucent pictures."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.pictures import Picture, enlarged
from keras_unet3d.evaluation.case_view import AGREE, CONFUSED, MISSED, STEPS, TOO_MUCH
from keras_unet3d.volumes.slabs import slabs
from keras_unet3d.volumes.voxels import Voxels

LONGEST = 480
"""Pixels of the longer side of a layer."""
SAMPLED = 200_000
"""Voxels that the brightness of pictures is decided from."""

Colour = tuple[int, int, int]

KIND_COLOURS: dict[int, Colour] = {
    AGREE: (0, 190, 140),
    MISSED: (86, 180, 250),
    TOO_MUCH: (255, 130, 20),
    CONFUSED: (225, 110, 190),
}
"""Of disagreement, told apart with any colour vision (after Okabe and Ito), and by their patterns."""

HEAT = ((0, 0, 6), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""From sure to undecided: ever brighter, so that it reads without colour."""

_PAINT = 0.35
_DIMMED = 0.55
_PATTERN = 8  # pixels after which a pattern begins again
_PAINTS = 120  # classes with an entry of their own in a palette of 256; further ones share them
_HEATS = 31


@dataclass(frozen=True)
class Window:
    """Which intensities are black and white, of each channel."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, image: Voxels) -> "Window":
        """From the 1st to the 99.5th percentile of a volume ``(z, y, x, channel)``, from some of its voxels."""
        share = max(1, int(np.prod(image.shape[:3])) // SAMPLED)
        parts = [image[box.slices].reshape(-1, image.shape[3])[::share] for box in slabs(image)]
        seen = np.concatenate(parts).astype(np.float32)
        seen = np.where(np.isfinite(seen), seen, 0)
        low, high = np.percentile(seen, (1, 99.5), axis=0)
        return cls(tuple(low.tolist()), tuple(np.where(high > low, high, low + 1).tolist()))

    def shares(self, voxels: NDArray[Any]) -> NDArray[np.float32]:
        """Intensities ``(…, channel)`` from 0, black, to 1, white."""
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        shares: NDArray[np.float32] = np.clip(np.nan_to_num((voxels.astype(np.float32) - low) / (high - low)), 0, 1)
        return shares


def layer_size(edges: tuple[float, float]) -> tuple[int, int]:
    """Pixels of rows and columns for a slice of this height and width in space: square ones."""
    scale = LONGEST / max(edges)
    rows, columns = (max(round(edge * scale), 1) for edge in edges)
    return rows, columns


def image_source(plane: NDArray[Any], window: Window) -> str:
    """A slice ``(row, column, channel)`` in grey as a data URL; its pixels are voxels, or as many as a layer has."""
    return _photo(window.shares(plane).mean(axis=-1, keepdims=True))


def coloured_source(plane: NDArray[Any], window: Window) -> str | None:
    """The same with two or three channels in colours (two in green and magenta), None for others."""
    shares = window.shares(plane)
    match plane.shape[-1]:
        case 2:
            return _photo(shares[..., [1, 0, 1]])
        case 3:
            return _photo(shares)
    return None


def classes_source(
    plane: NDArray[Any], colours: Sequence[Colour], background: int | None, size: tuple[int, int]
) -> str:
    """Class indices ``(row, column)`` as translucent paint within a contour; what is unlabelled is dimmed."""
    classes = enlarged(plane, size)
    structure = (classes >= 0) & (classes != (-2 if background is None else background))
    edge = structure & _edges(classes, 2 if min(size) >= 2 * min(plane.shape) else 1)
    paint = classes % _PAINTS
    entries = np.where(structure, 2 + 2 * paint + edge, classes < 0)
    colours = [colours[index] for index in range(min(len(colours), _PAINTS))]
    palette = [(0, 0, 0, 0.0), (0, 0, 0, _DIMMED)]
    palette += [(*colour, opacity) for colour in colours for opacity in (_PAINT, 1.0)]
    return _png(entries.astype(np.uint8), palette)


def disagreement_source(kinds: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Kinds of voxels ``(row, column)``, see `case_view.disagreement`, each in its colour and pattern."""
    shown = enlarged(kinds, size)
    row, column = np.ogrid[: size[0], : size[1]]
    stripes = (row + column) % _PATTERN < _PATTERN // 2
    checks = (2 * row // _PATTERN + 2 * column // _PATTERN) % 2 == 0
    pattern = (stripes & (shown == MISSED)) | (checks & (shown == CONFUSED))
    faint = {AGREE: _PAINT, MISSED: 0.45, TOO_MUCH: 0.9, CONFUSED: 0.45}
    palette = [(0, 0, 0, 0.0)] * 2
    for kind, colour in KIND_COLOURS.items():
        palette += [(*colour, faint[kind]), (*colour, 1.0)]
    palette += [(0, 0, 0, _DIMMED)] * 2
    return _png((2 * shown + pattern).astype(np.uint8), palette)


def uncertainty_source(steps: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Steps of uncertainty ``(row, column)`` as heat."""
    levels = np.rint(np.arange(STEPS + 1) * (_HEATS / STEPS)).astype(np.uint8)  # few colours: a small file
    palette = [(*colour, 1.0) for colour in heat(np.linspace(0, 1, _HEATS + 1)).tolist()]
    return _png(levels[enlarged(steps, size)], palette)


def heat(shares: NDArray[np.floating]) -> Picture:
    """Numbers from 0 to 1 in the colours of `HEAT`, linear in between."""
    anchors = np.linspace(0, 1, len(HEAT))
    red, green, blue = (np.interp(shares, anchors, channel) for channel in np.array(HEAT).T)
    picture: Picture = np.rint(np.stack([red, green, blue], axis=-1)).astype(np.uint8)
    return picture


def _edges(labels: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """Pixels from which another label is no farther than `width` along rows or columns."""
    edge = np.zeros(labels.shape, bool)
    for reach in range(1, width + 1):
        down, right = labels[reach:] != labels[:-reach], labels[:, reach:] != labels[:, :-reach]
        edge[:-reach] |= down
        edge[reach:] |= down
        edge[:, :-reach] |= right
        edge[:, reach:] |= right
    return edge


def _png(entries: NDArray[np.uint8], palette: Sequence[tuple[int, int, int, float]]) -> str:
    """A picture ``(row, column)`` of entries in a palette of colours with their opacity."""
    from PIL import Image

    image = Image.fromarray(entries)
    image.putpalette([value for *colour, _ in palette for value in colour])
    alphas = bytes(round(255 * opacity) for *_, opacity in palette)
    return _encoded(image, "PNG", **({} if min(alphas) == 255 else {"transparency": alphas}))


def _photo(shares: NDArray[np.float32]) -> str:
    """Grey ``(row, column, 1)`` or coloured ``(row, column, 3)``, averaged down where it has more than `LONGEST`."""
    from PIL import Image

    pixels = np.rint(255 * shares).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if max(image.size) > LONGEST:
        columns, rows = (min(side, LONGEST) for side in image.size)
        image = image.resize((columns, rows), Image.Resampling.BOX)
    return _encoded(image, "WEBP", quality=85, method=4)


def _encoded(image: Any, form: str, **options: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
