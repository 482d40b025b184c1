"""Tables that several commands print."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from keras_unet3d.volumes.axes import named
from keras_unet3d.wording import counted, rounded

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.annotation import TrainingSummary

MOST_CASES = 12
"""More cases than this are folded to their totals,"""
MOST_CLASSES = 5
"""and more classes than this are not columns of the table of cases."""
MOST_CHANNELS = 4
"""With more channels than this, the intensities of the classes are for machines only."""


def print_summary(terminal: Terminal, summary: TrainingSummary) -> None:
    """What will be trained on: labelled voxels and slices, per class and case."""
    names = list(summary.voxels)
    _print_classes(terminal, summary)
    if len(summary.rows) > MOST_CASES:
        _print_folded(terminal, summary)
    else:
        _print_cases(terminal, summary, [] if len(names) > MOST_CLASSES else names)
    terminal.say(f"{counted(len(summary.channels), 'channel')}: {', '.join(summary.channels)}.")


def _print_classes(terminal: Terminal, summary: TrainingSummary) -> None:
    """A row for each class: how much of it is labelled, how large it is, and how bright."""
    dense = [row for row in summary.rows if row.dense]
    units = {row.unit for row in dense}
    sized = len(units) == 1 and units != {""}
    channels = summary.channels if len(summary.channels) <= MOST_CHANNELS else ()
    rows = []
    for name in summary.voxels:
        volumes = [row.volume[name] for row in dense] if sized else []
        seen = summary.intensities[name] if channels else ()
        rows.append(
            [
                name,
                f"{summary.voxels[name]:,}",
                f"{summary.share[name]:.1%}",
                *([rounded(statistics.median(volumes))] if volumes else []),
                *([f"{each.mean:+.2f} ± {each.deviation:.2f}" for each in seen] or ["–"] * len(channels)),
            ]
        )
    size = [f"median {next(iter(units))}³"] if sized else []
    terminal.table(["class", "labelled voxels", "share", *size, *channels], rows)
    if channels:
        terminal.say("Intensities are measured from the mean of their volume, in its standard deviations.")


def _print_folded(terminal: Terminal, summary: TrainingSummary) -> None:
    """Many cases in a sentence."""
    cases, dense = len(summary.rows), sum(row.dense for row in summary.rows)
    voxels = sum(row.labelled for row in summary.rows)
    share = voxels / sum(math.prod(row.shape) for row in summary.rows)
    sizes = sorted({row.shape for row in summary.rows}, key=math.prod)
    span = named(sizes[0]) if len(sizes) == 1 else f"{named(sizes[0])} to {named(sizes[-1])}"
    labelled = (
        "all dense" if dense == cases else f"{dense} dense, {counted(summary.slices, 'annotated slice')} in others"
    )
    terminal.say(f"{cases} cases of {span}, {labelled}; {voxels:,} voxels are labelled, {share:.1%}.")
    spacings = sorted({(row.spacing, row.unit) for row in summary.rows}, key=lambda each: math.prod(each[0]))
    ends = [named(*spacings[0]), *([named(*spacings[-1])] if len(spacings) > 1 else [])]
    terminal.say(f"Spacing: {' to '.join(ends)}.")


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
