"""Charts as inline SVG: sharp at any size, printed as drawn, coloured by the page's style, light or dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from keras_unet3d.evaluation.html import Html, element

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 44
"""Margins; the names of the axes lie in them."""
SERIES = 8
"""Kinds of lines that the style knows; more begin again."""


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: for the legend.
        points: x and y; those that are not numbers interrupt the line.
        dots: whether each point is marked.
        kind: which look of `SERIES`: colour and dashes.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    kind: int = 0


def line_chart(title: str, x_name: str, y_name: str, lines: Sequence[Line], *, top: float | None = None) -> Html:
    """Lines over one axis.

    Args:
        title: what it shows, for those who cannot see it, too.
        x_name: of the axis, with its unit.
        y_name: likewise.
        lines: at least one has a number.
        top: of the y axis; None is the largest number.
    """
    points = [point for line in lines for point in line.points if math.isfinite(point[1])]
    xs, ys = ([point[axis] for point in points] or [0.0] for axis in (0, 1))
    frame = _Frame((min(0.0, *xs), max(*xs, min(xs) + 1)), (min(0.0, *ys), top or max(*ys, min(ys) + 1e-6)))
    drawn = [frame.axes(x_name, y_name)]
    for line in lines:
        drawn += _drawn(frame, line)
    legend = [
        element("span", element("i", class_=f"key series-{line.kind % SERIES}"), line.name)
        for line in lines
        if len(lines) > 1
    ]
    return _figure(title, drawn, HEIGHT, *([element("p", *legend, class_="legend")] if legend else []))


def _drawn(frame: "_Frame", line: Line) -> list[Html]:
    kind = f"series-{line.kind % SERIES}"
    runs: list[list[str]] = [[]]
    marks = []
    for x, y in line.points:
        if not math.isfinite(y):
            runs.append([])
            continue
        place = (frame.x(x), frame.y(y))
        runs[-1].append(f"{place[0]:.1f},{place[1]:.1f}")
        if line.dots or len(line.points) == 1:
            words = element("title", f"{line.name}, {x:,.6g}: {y:.3f}")
            marks.append(element("circle", words, cx=f"{place[0]:.1f}", cy=f"{place[1]:.1f}", r=3, class_=kind))
    return [*(element("polyline", points=" ".join(run), class_=kind) for run in runs if len(run) > 1), *marks]


@dataclass(frozen=True)
class Row:
    """A row of a dot chart.

    Attributes:
        name: of the row.
        scores: with the name of what has it, from 0 to 1; those that are not numbers are left out.
        mean: marked; not a number is not.
        low: of the interval around it, not a number where there is none.
        high: likewise.
    """

    name: str
    scores: Sequence[tuple[str, float]]
    mean: float
    low: float = math.nan
    high: float = math.nan


def dot_chart(title: str, x_name: str, rows: Sequence[Row], words: str) -> Html:
    """A dot for each score, a row for each kind of them, a line at the mean, a band for its interval.

    Args:
        title: what it shows.
        x_name: of the axis.
        rows: from the top.
        words: below the chart.
    """
    step = 46
    height = TOP + step * len(rows) + BOTTOM
    left = min(170, max(LEFT, 24 + 7 * max(len(row.name) for row in rows)))
    present = [score for row in rows for _, score in row.scores if math.isfinite(score)]
    frame = _Frame((_floor(min(present, default=0.0)), 1.0), (0.0, 1.0), height=height, left=left)
    drawn = [frame.axes(x_name, "", marks_of_y=False)]
    for number, row in enumerate(rows):
        middle = TOP + step * (number + 0.5)
        drawn.append(_label(_short(row.name), left - 10, middle + 4, "end"))
        drawn.append(_rule(left, middle, frame.right, middle, "grid"))
        if math.isfinite(row.low) and math.isfinite(row.high):
            start, end = frame.x(max(row.low, frame.x_range[0])), frame.x(min(row.high, 1.0))
            span = element("title", f"{row.name}: {row.low:.3f} to {row.high:.3f}")
            drawn.append(
                element(
                    "rect", span, x=f"{start:.1f}", y=middle - 15, width=f"{end - start:.1f}", height=30, class_="band"
                )
            )
        for place, (name, score) in enumerate(row.scores):
            if math.isfinite(score):
                y = middle + (place % 5 - 2) * 4  # so that equal scores do not hide each other
                named = element("title", f"{name}: {score:.3f}")
                drawn.append(element("circle", named, cx=f"{frame.x(score):.1f}", cy=y, r=4, class_="dot"))
        if math.isfinite(row.mean):
            x = frame.x(row.mean)
            drawn.append(_rule(x, middle - 15, x, middle + 15, "mean"))
    return _figure(title, drawn, height, element("p", words, class_="quiet"))


def bar_chart(title: str, x_name: str, y_name: str, edges: Sequence[float], shares: Sequence[float]) -> Html:
    """Bars side by side, each between two edges; one that is not a number is left out."""
    present = [share for share in shares if math.isfinite(share)]
    frame = _Frame((edges[0], edges[-1]), (0.0, _ceil(max(present, default=1.0))))
    drawn = [frame.axes(x_name, y_name, percent=True)]
    for (low, high), share in zip(pairwise(edges), shares, strict=True):
        if math.isfinite(share):
            left, right, top = frame.x(low) + 2, frame.x(high) - 2, frame.y(share)
            words = element("title", f"{low:g} to {high:g}: {share:.1%}")
            size = {"width": f"{right - left:.1f}", "height": f"{max(frame.y(0) - top, 1):.1f}"}
            drawn.append(element("rect", words, x=f"{left:.1f}", y=f"{top:.1f}", class_="column", **size))
    return _figure(title, drawn, HEIGHT)


class _Frame:
    """Where numbers lie in a chart."""

    def __init__(
        self, x_range: tuple[float, float], y_range: tuple[float, float], *, height: int = HEIGHT, left: float = LEFT
    ) -> None:
        self.x_range, self.y_range = x_range, y_range
        self.left, self.right, self.bottom = left, WIDTH - RIGHT, height - BOTTOM

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - TOP)

    def axes(self, x_name: str, y_name: str, *, marks_of_y: bool = True, percent: bool = False) -> Html:
        """Both axes with their names, and the grid."""
        drawn = []
        for value in ticks(*self.x_range):
            drawn.append(_rule(self.x(value), TOP, self.x(value), self.bottom, "grid"))
            drawn.append(_label(f"{value:,.6g}", self.x(value), self.bottom + 16, "middle"))
        for value in ticks(*self.y_range) if marks_of_y else ():
            drawn.append(_rule(self.left, self.y(value), self.right, self.y(value), "grid"))
            text = f"{value:.3%}".replace(".000", "") if percent else f"{value:.6g}"
            drawn.append(_label(text, self.left - 7, self.y(value) + 4, "end"))
        drawn.append(_rule(self.left, self.bottom, self.right, self.bottom, "axis"))
        drawn.append(_label(x_name, (self.left + self.right) / 2, self.bottom + 36, "middle", "name"))
        middle = (TOP + self.bottom) / 2
        turned = f"rotate(-90 13 {middle:.0f})"
        drawn.append(
            element("text", y_name, x=13, y=f"{middle:.0f}", text_anchor="middle", class_="name", transform=turned)
        )
        return element("g", *drawn)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about so many: 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _floor(score: float) -> float:
    """Where an axis of scores begins: 0, or not far below the lowest."""
    return max(0.0, math.floor(score * 10 - 0.5) / 10)


def _ceil(share: float) -> float:
    """Where an axis of shares ends: at the first mark above the largest."""
    highest = max(share, 0.01)
    return min(1.0, *(value for value in ticks(0, 2 * highest) if value >= highest))


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _rule(x: float, y: float, to_x: float, to_y: float, class_: str) -> Html:
    places = {"x1": f"{x:.1f}", "y1": f"{y:.1f}", "x2": f"{to_x:.1f}", "y2": f"{to_y:.1f}"}
    return element("line", class_=class_, **places)


def _label(text: str, x: float, y: float, anchor: str, class_: str | None = None) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)


def _figure(title: str, drawn: Sequence[Html], height: int, *below: Html) -> Html:
    picture = element("svg", *drawn, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=title)
    return element("figure", element("figcaption", title), picture, *below, class_="chart")
