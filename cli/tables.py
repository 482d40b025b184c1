"""Tables that several commands print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from keras_unet3d.volumes.axes import named

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.annotation import TrainingSummary
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
        _print_folded(terminal, summary)
    else:
        _print_cases(terminal, summary, [] if many_classes else names)
    terminal.say(f"{_counted(len(summary.channels), 'channel')}: {', '.join(summary.channels)}.")


def _print_folded(terminal: Terminal, summary: TrainingSummary) -> None:
    """Many cases in a sentence."""
    cases, dense = len(summary.rows), sum(row.dense for row in summary.rows)
    share = sum(row.labelled for row in summary.rows) / sum(math.prod(row.shape) for row in summary.rows)
    sizes = sorted({row.shape for row in summary.rows}, key=math.prod)
    span = named(sizes[0]) if len(sizes) == 1 else f"{named(sizes[0])} to {named(sizes[-1])}"
    labelled = (
        "all dense" if dense == cases else f"{dense} dense, {_counted(summary.slices, 'annotated slice')} in others"
    )
    terminal.say(f"{cases} cases of {span}, {labelled}; {share:.1%} of all voxels are labelled.")


def _print_cases(terminal: Terminal, summary: TrainingSummary, columns: list[str]) -> None:
    """A row for each case, with these classes as columns."""
    spacings = {(row.spacing, row.unit) for row in summary.rows}
    rows = []
    for row in summary.rows:
        z, y, x = (row.slices[axis] for axis in ("z", "y", "x"))
        rows.append(
            [
                row.name,
                named(row.shape),
                *([named(row.spacing, row.unit)] if len(spacings) > 1 else []),
                "dense" if row.dense else named((z, y, x)),
                f"{row.labelled:,}",
                f"{row.share:.1%}",
                *(f"{row.voxels[name]:,}" for name in columns),
            ]
        )
    several = len(rows) > 1
    if several:
        sums = [f"{sum(summary.voxels.values()):,}", "", *(f"{summary.voxels[name]:,}" for name in columns)]
        rows.append(["all", *([""] * (len(spacings) > 1)), "", str(summary.slices or ""), *sums])
    spacing = ["spacing"] if len(spacings) > 1 else []
    header = ["case", "size", *spacing, "slices", "labelled", "share", *columns]
    terminal.table(header, rows, total=several)
    if not spacing:
        terminal.say(f"Spacing: {named(*spacings.pop())}.")


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
