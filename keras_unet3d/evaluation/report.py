"""One HTML file that lets a person judge a segmentation: tables, and pictures inside."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from keras_unet3d.annotation.labels import Colour
from keras_unet3d.annotation.pictures import Picture
from keras_unet3d.volumes.whole_file import written_whole


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
