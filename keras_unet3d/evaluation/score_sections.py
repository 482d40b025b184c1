"""What a report says of scores."""

import math
from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any

from keras_unet3d.evaluation.calibration import EDGES, Calibration
from keras_unet3d.evaluation.charts import Row, bar_chart, dot_chart
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.page import Section
from keras_unet3d.evaluation.score_notes import few_cases_note, score_notes
from keras_unet3d.evaluation.tables import Bar, Cell, Stacked, table
from keras_unet3d.metrics import OVERLAP_MEASURES, SURFACE_MEASURES, CaseScores, Measure, ScoreTable, Spread
from keras_unet3d.metrics.measures import DICE, HAUSDORFF_95, IOU, SURFACE_DICE

CASE_MEASURES = (DICE, IOU, HAUSDORFF_95, SURFACE_DICE)
"""Whose means are columns of the table of cases; the first one ranks them, as `ScoreTable` does."""
BARS = (DICE, IOU, SURFACE_DICE)
"""What is drawn as a bar."""
MOST_CLASSES = 5
"""More classes than this are no columns of the table of cases."""

DEFINITIONS = (
    "IoU = TP / (TP + FN + FP) and Dice = 2 TP / (2 TP + FN + FP), where TP, FN and FP are the voxels that are true "
    "positive, false negative and false positive. Only labelled voxels count; 1 is perfect."
)


def score_section(scores: ScoreTable) -> Section:
    """Mean, spread, interval and every case of each class."""
    several = len(scores.cases) > 1
    parts: list[str] = []
    if several:
        parts.append(
            "Mean ± standard deviation over the cases, and below it the 95 % interval of the mean (bootstrap). "
            f"All labelled voxels of the {len(scores.cases)} cases together: Dice "
            f"{DICE.text(scores.pooled.mean_dice)}, IoU {IOU.text(scores.pooled.mean_iou)}."
        )
    show = _spreads if several else _of_cases
    parts.append(show(scores, OVERLAP_MEASURES))
    beside = [show(scores, SURFACE_MEASURES)] if scores.unit else []
    beside += [_dots(scores)] if several else []
    parts.append(element("div", *beside, class_="beside"))
    notes = [DEFINITIONS, few_cases_note(scores), *score_notes(scores)]
    return Section("Scores", [*parts, element("p", " ".join(filter(None, notes)), class_="quiet")])


def held_out_section(training: Mapping[str, Any]) -> Section | None:
    """How well the model does on what training held out, as its description says it; None where it held out nothing."""
    validation = training.get("validation")
    if not validation:
        return None
    mean = {"name": "mean", "voxels": validation["voxels"], **validation["mean"]}
    measures = [measure for measure in OVERLAP_MEASURES if measure.key in mean]
    rows = [
        [each["name"], *(_cell(measure, _number(each.get(measure.key))) for measure in measures), int(each["voxels"])]
        for each in [*validation["classes"], mean]
    ]
    shown = table(["class", *(each.title for each in measures), "labelled voxels"], rows, total=True)
    parts = [str(training.get("held_out", "")), shown, element("p", DEFINITIONS, class_="quiet")]
    return Section("Scores on what was held out", [part for part in parts if part])


def case_section(scores: ScoreTable, learned_from: Collection[str], shown: Collection[str]) -> Section:
    """A row for each case, the worst first.

    Args:
        scores: of the cases.
        learned_from: names of cases that the model learned from.
        shown: names of cases that the report shows.
    """
    numbers = [number for number in range(len(scores.names)) if number != scores.scheme.background]
    numbers = [] if len(numbers) > MOST_CLASSES else numbers
    measures = [measure for measure in CASE_MEASURES if scores.unit or not measure.of_surfaces]
    known = any(case.name in learned_from for case in scores.cases)
    rows = [
        [
            case.name,
            *(["yes" if case.name in learned_from else "no"] if known else []),
            case.scores.voxels,
            *(_cell(DICE, case.scores.classes[number].dice, bar=False) for number in numbers),
            *(_cell(measure, case.scores.mean(measure)) for measure in measures),
        ]
        for case in scores.cases
    ]
    header = ["case", *(["learned from"] if known else []), "labelled voxels"]
    header += [f"Dice of {scores.names[number]}" for number in numbers]
    header += [f"mean {measure.titled(scores.unit)}" for measure in measures]
    pictures = f" Pictures of {', '.join(shown)} are below." if shown else ""
    words = f"The cases to look at first are on top: ranked by their mean Dice.{pictures}"
    return Section("Cases, worst first", [words, table(header, rows)])


def calibration_section(calibration: Calibration) -> Section:
    """Whether the model is wrong where it is unsure."""
    chart = bar_chart(
        "Wrong voxels by uncertainty",
        "uncertainty of the voxels, from 0, sure, to 1, undecided",
        "share that is wrong",
        EDGES,
        calibration.wrong_shares,
    )
    words = (
        "Uncertainty is the entropy of the class probabilities, divided by the largest possible. It is worth looking "
        "at where it rises together with the share of wrong voxels."
    )
    note = element("p", words, class_="quiet")
    return Section("Is it unsure where it is wrong?", [calibration.sentence, chart, note])


def seen_before(cases: Sequence[CaseScores], training: Mapping[str, Any]) -> Html | None:
    """What to know of scores of cases that the model learned from; None where it is not known to have.

    Args:
        cases: that were scored.
        training: what the model says of it.
    """
    learned_from = training.get("learned_from") or ()
    seen = [case.name for case in cases if case.name in learned_from]
    if not seen:
        return None
    which = "all of these cases" if len(seen) == len(cases) else f"{len(seen)} of these {len(cases)} cases"
    rows = {row["name"]: row for row in (training.get("data") or {}).get("rows") or ()}
    if all(name in rows for name in seen):
        voxels = sum(prod(rows[name]["shape"].values()) for name in seen)
        which += f" ({sum(rows[name]['labelled'] for name in seen) / voxels:.0%} of their voxels were annotated)"
    return element(
        "p",
        element("strong", "Seen in training. "),
        f"The model learned from {which}, going by their names. At voxels that it was shown, a score says how well it "
        "remembers, not how well it does on new volumes.",
        class_="notice",
    )


def spread_words(spread: Spread) -> str:
    """How sure a mean is, without the mean itself."""
    cases = f"{spread.cases} {'case' if spread.cases == 1 else 'cases'}"
    if math.isnan(spread.low):
        return f"of {cases}"
    return f"95 % interval {spread.low:.3f} to {spread.high:.3f}, over {cases}"


def _spreads(scores: ScoreTable, measures: Sequence[Measure]) -> Html:
    """A row for each class that has any of the measures, and for the mean over classes."""
    rows: list[list[Cell]] = []
    for name, number in _numbered(scores):
        lines = [scores.spread(measure, number).lines(measure) for measure in measures]
        if number is None or any(lines):
            rows.append(
                [name, *(Stacked(first, ", ".join(below)) for first, *below in (each or ["–"] for each in lines))]
            )
    return table(["class", *(measure.titled(scores.unit) for measure in measures)], rows, total=True)


def _of_cases(scores: ScoreTable, measures: Sequence[Measure]) -> Html:
    """The same of one case, which has no spread."""
    (case,) = scores.cases
    of_classes = [(each.name, [each.of(measure) for measure in measures]) for each in case.scores.classes]
    rows: list[list[Cell]] = [
        [name, *map(_cell, measures, found)]
        for name, found in [*of_classes, ("mean", [case.scores.mean(measure) for measure in measures])]
        if not all(map(math.isnan, found))
    ]
    return table(["class", *(measure.titled(scores.unit) for measure in measures)], rows, total=True)


def _dots(scores: ScoreTable) -> Html:
    rows = []
    for name, number in _numbered(scores):
        spread = scores.spread(DICE, number)
        rows.append(Row(name, list(scores.scores(DICE, number).items()), spread.mean, spread.low, spread.high))
    words = "A dot is a case, the line their mean, the band the 95 % interval of the mean."
    return dot_chart("Dice of each case", "Dice, 1 is perfect", rows, words)


def _numbered(scores: ScoreTable) -> list[tuple[str, int | None]]:
    return [*zip(scores.names, range(len(scores.names)), strict=True), ("mean", None)]


def _cell(measure: Measure, score: float, *, bar: bool = True) -> Cell:
    return Bar(score) if bar and measure in BARS else Stacked(measure.text(score))


def _number(score: Any) -> float:
    return math.nan if score is None else float(score)
