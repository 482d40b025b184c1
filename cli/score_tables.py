"""Tables of scores: of one case, of many, and of two predictions beside each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from unet3d_cli.tables import MOST_CASES, MOST_CLASSES

from keras_unet3d.evaluation.score_notes import few_cases_note, score_notes
from keras_unet3d.evaluation.tables import score_text
from keras_unet3d.metrics.measures import (
    DICE,
    HAUSDORFF_95,
    IOU,
    OVERLAP_MEASURES,
    SURFACE_DICE,
    SURFACE_MEASURES,
    VOLUME_DIFFERENCE,
    Measure,
)
from keras_unet3d.metrics.spread import FEW_CASES
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unet3d_cli.terminal import Terminal

    from keras_unet3d.metrics import PairedDifference, PairedTable, Scores, ScoreTable


def print_scores(terminal: Terminal, scores: Scores) -> None:
    """Every measure per class, and their means; overlap and surfaces in tables of their own."""
    rows = [
        [
            score.name,
            str(score.value),
            f"{score.voxels:,}",
            *(measure.text(score.of(measure)) for measure in OVERLAP_MEASURES),
        ]
        for score in scores.classes
    ]
    means = [measure.text(scores.mean(measure)) for measure in OVERLAP_MEASURES]
    header = ["class", "value", "voxels", *(_stacked(measure.title) for measure in OVERLAP_MEASURES)]
    terminal.table(header, [*rows, ["mean", "", f"{scores.voxels:,}", *means]], total=True)
    if scores.ruler:
        unit = scores.ruler.unit
        rows = [[each.name, *(one.text(each.of(one)) for one in SURFACE_MEASURES)] for each in scores.classes]
        means = [measure.text(scores.mean(measure)) for measure in SURFACE_MEASURES]
        header = ["class", *(_stacked(measure.titled(unit)) for measure in SURFACE_MEASURES)]
        terminal.table(header, [*rows, ["mean", *means]], total=True)


def print_cases(terminal: Terminal, table: ScoreTable) -> None:
    """A row per case, the worst first, and what comes of all of them."""
    numbers = [number for number in range(len(table.names)) if number != table.scheme.background]
    numbers = [] if len(numbers) > MOST_CLASSES else numbers
    measures = [one for one in (IOU, DICE, HAUSDORFF_95, SURFACE_DICE) if one in table.measured]
    rows = [
        [
            case.name,
            *(score_text(case.scores.classes[number].dice) for number in numbers),
            *(measure.text(case.scores.mean(measure)) for measure in measures),
        ]
        for case in table.cases[:MOST_CASES]
    ]
    of_class = ", with the Dice of each class and the means of all" if numbers else ", with means over the classes"
    terminal.say(f"{counted(len(table.cases), 'case')}, the worst first{of_class}:")
    means = (f"mean {measure.titled(table.unit)}" for measure in measures)
    terminal.table(["case", *(table.names[number] for number in numbers), *map(_stacked, means)], rows)
    if len(table.cases) > MOST_CASES:
        terminal.say(f"… and {counted(len(table.cases) - MOST_CASES, 'case')} more; --csv FILE writes all of them.")
    terminal.say("Mean ± standard deviation over the cases, and below it the 95 % interval of the mean:")
    _print_spreads(terminal, table, OVERLAP_MEASURES)
    if table.unit:
        _print_spreads(terminal, table, SURFACE_MEASURES)
    if caution := few_cases_note(table):
        terminal.say(caution)


def print_notes(terminal: Terminal, table: ScoreTable) -> None:
    """How distances were measured, or why not, and what signs in the tables mean."""
    for note in score_notes(table):
        terminal.say(note)


def print_paired(terminal: Terminal, paired: PairedTable, first: str, second: str) -> None:
    """The means over the classes by every measure, and Dice of every class."""
    measures = [measure for measure in paired.measures if measure is not VOLUME_DIFFERENCE]
    several = len(paired.cases) > 1
    terminal.say(f"\n{first} compared with {second}, {counted(len(paired.cases), 'case')} of both:")
    if paired.unpaired:
        terminal.say(f"Left out, as only one of the two has them: {counted(len(paired.unpaired), 'case')}.")
    names = dict(zip(paired.first.scheme.values, paired.first.names, strict=True))
    rows = [
        _paired_row(f"{DICE.title}, {names[value]}", DICE, paired.difference(DICE, value), several=several)
        for value in paired.values
    ]
    rows += [
        _paired_row(f"mean {measure.titled(paired.first.unit)}", measure, paired.difference(measure), several=several)
        for measure in measures
    ]
    over_cases = ["95 % interval", "p", "cases"] if several else []
    terminal.table(["", "first", "second", "difference", *over_cases], rows)
    lower = ", ".join(measure.title for measure in measures if measure.best == 0)
    terminal.say(f"Above 0 the first is better{f'; of {lower} below 0' if lower else ''}.")
    if several:
        if any(paired.difference(measure).difference.cases < len(paired.cases) for measure in measures):
            terminal.say("A row leaves out the cases in which one of the two has no score or an infinite distance.")
        terminal.say("p: Wilcoxon's signed-rank test, two-sided, each row by itself.")
        if paired.smallest_p > 0.05 or len(paired.cases) < FEW_CASES:
            terminal.say(
                f"{counted(len(paired.cases), 'case')} say little: with so few, p cannot be below "
                f"{paired.smallest_p:.2g}."
            )


def _print_spreads(terminal: Terminal, table: ScoreTable, measures: Sequence[Measure]) -> None:
    numbers: list[int | None] = [*range(len(table.names)), None]
    rows = []
    for number in numbers:
        cells = ["\n".join(table.spread(measure, number).lines(measure)) for measure in measures]
        if number is not None and not any(cells):
            continue  # the background's surfaces
        rows.append(["mean" if number is None else table.names[number], *(cell or "–" for cell in cells)])
    terminal.table(["class", *(_stacked(measure.titled(table.unit)) for measure in measures)], rows, total=True)


def _paired_row(name: str, measure: Measure, found: PairedDifference, *, several: bool) -> list[str]:
    spread = found.difference
    interval = "–" if math.isnan(spread.low) else f"{_signed(measure, spread.low)} to {_signed(measure, spread.high)}"
    p = "<0.001" if found.p < 0.001 else score_text(found.p)
    over_cases = [interval, p, str(spread.cases)] if several else []
    means = [measure.text(found.first), measure.text(found.second)]
    return [name, *means, _signed(measure, spread.mean), *over_cases]


def _stacked(title: str) -> str:
    """A title of several words, one below the other."""
    return title.replace(" ", "\n")


def _signed(measure: Measure, difference: float) -> str:
    text = measure.text(difference)
    return text if difference < 0 or math.isnan(difference) else f"+{text}"
