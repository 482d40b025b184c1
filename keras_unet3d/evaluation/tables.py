"""Tables of numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keras_unet3d.evaluation.html import Html, element

SHOWN_WITHOUT_SCROLLING = 30
"""Longer tables scroll on a screen."""


@dataclass(frozen=True)
class Bar:
    """A score from 0 to 1 as a number on a bar of its length.

    Attributes:
        score: not a number where there is none.
    """

    score: float


@dataclass(frozen=True)
class Stacked:
    """A number as it is written, and words below it."""

    text: str
    below: str = ""


Cell = str | int | Bar | Stacked


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], *, total: bool = False, caption: str = "") -> Html:
    """A table: texts on the left, numbers on the right.

    Args:
        header: a title per column.
        rows: of cells; an int is a count.
        total: whether the last row sums up the others.
        caption: what it is a table of.
    """
    *body, last = rows if total else [*rows, ()]
    numeric = [any(not isinstance(row[place], str) for row in rows) for place in range(len(header))]
    titles = (
        element("th", title, scope="col", class_="number" if number else None)
        for title, number in zip(header, numeric, strict=True)
    )
    parts = [element("caption", caption)] if caption else []
    parts += [element("thead", element("tr", *titles)), element("tbody", *map(_row, body))]
    if last:
        parts.append(element("tfoot", _row(last)))
    long = " long" if len(rows) > SHOWN_WITHOUT_SCROLLING else ""
    return element("div", element("table", *parts), class_=f"table{long}", tabindex="0" if long else None)


def score_text(score: float | None) -> str:
    """Three decimals, or a dash where there is no number."""
    return "–" if score is None or math.isnan(score) else f"{score:.3f}"


def _row(cells: Sequence[Cell]) -> Html:
    first, *others = cells
    return element("tr", element("th", _text(first), scope="row"), *map(_cell, others))


def _cell(cell: Cell) -> Html:
    if isinstance(cell, Bar):
        width = 0.0 if math.isnan(cell.score) else min(max(cell.score, 0), 1)
        bar = element("span", class_="bar", style=f"--share:{width:.3f}")
        return element("td", bar, element("span", score_text(cell.score)), class_="number barred")
    if isinstance(cell, Stacked):
        below = [element("small", cell.below)] if cell.below else []
        return element("td", cell.text, *below, class_="number")
    return element("td", _text(cell), class_=None if isinstance(cell, str) else "number")


def _text(cell: Cell) -> str:
    if isinstance(cell, Bar):
        return score_text(cell.score)
    if isinstance(cell, Stacked):
        return cell.text
    return f"{cell:,}" if isinstance(cell, int) else cell
