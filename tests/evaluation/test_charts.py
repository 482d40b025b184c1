"""Charts put numbers where they belong, and name their axes."""

import math
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.evaluation.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    Row,
    bar_chart,
    dot_chart,
    line_chart,
    ticks,
)


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_marks_are_round_few_and_within_the_axis(low, length):
    marks = ticks(low, low + length)
    assert 2 <= len(marks) <= 8
    slack = 1e-6 * (low + length)
    assert all(low - slack <= mark <= low + length + slack for mark in marks)
    steps = {float(f"{after - before:.3g}") for before, after in pairwise(marks)}
    assert all(f"{step:.6e}"[0] in "125" for step in steps if step > 1e-5 * low)


def test_a_line_runs_from_corner_to_corner_and_stops_where_there_is_no_number():
    chart = line_chart(
        "Up", "step", "IoU", [Line("a", [(0, 0.0), (5, 0.5), (6, math.nan), (8, 0.8), (10, 1.0)])], top=1.0
    )
    first, second = re.findall(r'<polyline points="([^"]*)"', chart)
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    assert first == f"{left:.1f},{bottom:.1f} {(left + right) / 2:.1f},{(top + bottom) / 2:.1f}"
    assert second.endswith(f" {right:.1f},{top:.1f}")
    for name in ("step", "IoU"):
        assert f">{name}</text>" in chart
    assert 'role="img" aria-label="Up"' in chart


def test_lines_are_told_apart_in_a_legend_and_one_point_is_a_dot():
    chart = line_chart("Two", "step", "loss", [Line("<a>", [(1, 2.0)]), Line("b", [(1, 1.0), (2, 0.5)], kind=1)])
    assert '<i class="key series-0"></i>&lt;a&gt;' in chart
    assert '<i class="key series-1"></i>b' in chart
    assert "<title>&lt;a&gt;, 1: 2.000</title>" in chart


def test_every_case_is_a_dot_and_the_axis_begins_below_the_worst():
    rows = [Row("cell", [("a", 0.72), ("b", 0.9), ("c", math.nan)], 0.81, 0.7, 0.92), Row("none", [], math.nan)]
    chart = dot_chart("Dice of each case", "Dice", rows, "Words.")
    assert chart.count('class="dot"') == 2
    assert "<title>a: 0.720</title>" in chart
    assert chart.count('class="mean"') == 1
    assert "<title>cell: 0.700 to 0.920</title>" in chart
    assert ">0.6</text>" in chart  # the first mark


def test_a_bar_is_as_high_as_its_share_and_stays_in_the_chart():
    chart = bar_chart("Wrong", "uncertainty", "share", (0.0, 0.5, 1.0), (0.42, math.nan))
    (height,) = re.findall(r'<rect x="[\d.]+" y="[\d.]+" class="column" width="[\d.]+" height="([\d.]+)"', chart)
    assert float(height) <= HEIGHT - TOP - BOTTOM
    assert "<title>0 to 0.5: 42.0%</title>" in chart
