"""Tables that several commands print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from keras_unet3d.volumes.axes import named

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.annotation import CaseSummary, TrainingSummary
    from keras_unet3d.metrics import Scores

MOST_CASES = 12
"""More cases than this are folded to their totals,"""
MOST_CLASSES = 5
"""and more classes than this get rows of their own instead of columns."""


def print_summary(terminal: Terminal, summary: TrainingSummary) -> None:
    """What will be trained on: labelled voxels and slices, per class and case."""
    cases, names = len(summary.rows), list(summary.voxels)
    total = sum(summary.voxels.values())
    many_cases, many_classes = cases > MOST_CASES, len(names) > MOST_CLASSES
    if many_cases or many_classes:
        rows = [[name, f"{summary.voxels[name]:,}", f"{summary.share[name]:.1%}"] for name in names]
        terminal.table(
            ["class", "labelled voxels", "share"], [*rows, [_counted(cases, "case"), f"{total:,}", ""]], total=True
        )
    if many_cases:
        dense = sum(row.dense for row in summary.rows)
        share = sum(row.labelled for row in summary.rows) / sum(row.labelled / row.share for row in summary.rows)
        sizes = sorted({row.shape for row in summary.rows}, key=math.prod)
        terminal.say(
            f"{cases} cases from {named(sizes[0])} to {named(sizes[-1])}; {dense} dense, "
            f"{_counted(summary.slices, 'annotated slice')} in the others; {share:.1%} of all voxels are labelled."
        )
    else:
        columns = [] if many_classes else names
        rows = [_case_row(row, columns) for row in summary.rows]
        last = [
            "all",
            "",
            "",
            str(summary.slices),
            f"{total:,}",
            "",
            *(f"{summary.voxels[name]:,}" for name in columns),
        ]
        header = ["case", "size", "spacing", "annotated slices", "labelled voxels", "share", *columns]
        terminal.table(header, [*rows, last] if cases > 1 else rows, total=cases > 1)
    terminal.say(f"{_counted(len(summary.channels), 'channel')}: {', '.join(summary.channels)}.")


def _case_row(row: CaseSummary, classes: list[str]) -> list[str]:
    z, y, x = (row.slices[axis] for axis in ("z", "y", "x"))
    return [
        row.name,
        named(row.shape),
        named(row.spacing, row.unit),
        "dense" if row.dense else named((z, y, x)),
        f"{row.labelled:,}",
        f"{row.share:.1%}",
        *(f"{row.voxels[name]:,}" for name in classes),
    ]


def print_scores(terminal: Terminal, scores: Scores) -> None:
    """IoU and Dice per class, and their means."""
    rows = [
        [score.name, str(score.value), f"{score.voxels:,}", shown(score.iou), shown(score.dice)]
        for score in scores.classes
    ]
    mean = ["mean", "", f"{scores.voxels:,}", shown(scores.mean_iou), shown(scores.mean_dice)]
    terminal.table(["class", "value", "voxels", "IoU", "Dice"], [*rows, mean], total=True)


def shown(score: float | None) -> str:
    """A score, or a dash where there is none."""
    return "–" if score is None or math.isnan(score) else f"{score:.3f}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
