"""Pictures that let a person judge a segmentation: slices with their labels painted over, in one HTML file."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED, Colour
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.whole_file import written_whole

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
    rows, columns = (other for other in range(3) if other != dimension)
    height, width = (image.shape[other] * spacing[other] for other in (rows, columns))
    scale = longest / max(height, width)
    size = max(round(height * scale), 1), max(round(width * scale), 1)
    plain = _enlarged(_visible(image.take(at[dimension], axis=dimension)), size)
    painted = [
        _painted(plain, _enlarged(labels.take(at[dimension], axis=dimension), size), class_colours(colours))
        for labels in label_maps
    ]
    gap = np.full((size[0], 4, 3), 255, np.uint8)
    return np.concatenate([plain, *(part for picture in painted for part in (gap, picture))], axis=1)


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


def _enlarged(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Each pixel of the result shows the voxel that it lies in."""
    row, column = (np.arange(new) * old // new for new, old in zip(size, plane.shape, strict=False))
    return plane[np.ix_(row, column)]


def _painted(plain: Picture, labels: NDArray[Any], colours: Sequence[Colour]) -> Picture:
    """Lay the classes over a picture: translucent, with an opaque contour where two labels meet."""
    labelled = labels != UNLABELED
    paint = np.array(colours, np.float32)[np.where(labelled, labels, 0)]
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    opacity = np.where(edge, 1.0, 0.3) * labelled
    picture: Picture = np.rint(plain + opacity[..., None] * (paint - plain)).astype(np.uint8)
    return picture


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture and the words below it."""

    picture: Picture
    caption: str


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a report.

    Attributes:
        heading: its title.
        paragraphs: plain text.
        table: rows of cells, the first one the header; numbers are shown with three decimals.
        legend: name of a class → its colour.
        figures: shown below each other.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    table: Sequence[Sequence[str | float]] = ()
    legend: Mapping[str, Colour] = field(default_factory=dict)
    figures: Sequence[Figure] = ()


def write_report(path: str | os.PathLike[str], title: str, sections: Sequence[Section]) -> None:
    """Write one HTML file that holds everything it shows: no script, no link, pictures inside.

    Raises:
        InputError: if the folder is missing or cannot be written to.
        WorkError: if writing fails.
    """
    body = "\n".join(_section(section) for section in sections)
    page = _PAGE.format(title=escape(title), body=body)
    with written_whole(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .25rem .9rem; border-bottom: 1px solid #ddd; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
figure {{ margin: 1.5rem 0; }}
img {{ max-width: 100%; }}
figcaption, .legend {{ color: #555; font-size: .9rem; }}
.legend i {{ display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.heading)}</h2>"]
    parts += [f"<p>{escape(text)}</p>" for text in section.paragraphs]
    if section.table:
        header, *rows = section.table
        parts += ["<table>", _row(header, "th"), *(_row(row, "td") for row in rows), "</table>"]
    if section.legend:
        swatches = (
            f'<i style="background:#{red:02x}{green:02x}{blue:02x}"></i>{escape(name)}'
            for name, (red, green, blue) in section.legend.items()
        )
        parts.append(f'<p class="legend">{"".join(swatches)}</p>')
    parts += [_figure(figure) for figure in section.figures]
    return "\n".join(parts)


def _row(cells: Sequence[str | float], tag: str) -> str:
    texts = (cell if isinstance(cell, str) else "–" if np.isnan(cell) else f"{cell:.3f}" for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"


def _figure(figure: Figure) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(figure.picture).save(stream, format="PNG", optimize=True)
    source = base64.b64encode(stream.getvalue()).decode("ascii")
    caption = escape(figure.caption)
    return (
        f'<figure><img src="data:image/png;base64,{source}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )
