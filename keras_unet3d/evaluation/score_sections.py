"""What a report says of scores."""

from collections.abc import Collection, Mapping
from math import prod
from typing import Any

from keras_unet3d.evaluation.calibration import EDGES, Calibration
from keras_unet3d.evaluation.charts import Row, bar_chart, dot_chart
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.measures import DEFINITIONS, INTERVAL_WORDS, MEASURES, interval, spread_text
from keras_unet3d.evaluation.page import Section
from keras_unet3d.evaluation.tables import Cell, table
from keras_unet3d.metrics import CaseScores, ScoreTable

MOST_CLASSES = 5
"""More classes than this are no columns of the table of cases."""


def score_section(scores: ScoreTable) -> Section:
    """Mean, spread and every case of each class."""
    first = MEASURES[0]
    numbered = [*zip(scores.names, range(len(scores.names)), strict=True), ("mean", None)]
    pooled = [each for each in MEASURES if each.is_share]
    several = len(scores.cases) > 1
    rows: list[list[Cell]] = []
    for name, number in numbered:
        row: list[Cell] = [name]
        if several:
            row += [spread_text(measure.over_cases(scores, number)) for measure in MEASURES]
        voxels = scores.pooled.voxels if number is None else scores.pooled.classes[number].voxels
        rows.append([*row, *(measure.cell(measure.of_case(scores.pooled, number)) for measure in pooled), voxels])
    together = " of all voxels" if several else ""
    header = ["class", *([each.name for each in MEASURES] if several else [])]
    header += [*(f"{each.name}{together}" for each in pooled), "labelled voxels"]
    words = "Of one case."
    if several:
        words = f"Mean ± standard deviation over {len(scores.cases)} cases; behind it, of all their voxels together."
    parts = [table(header, rows, total=True, caption=words)]
    if several:
        dots = []
        for name, number in numbered:
            spread = first.over_cases(scores, number)
            every = [(case.name, first.of_case(case.scores, number)) for case in scores.cases]
            dots.append(Row(name, every, spread.mean, *interval(spread)))
        words = f"A dot is a case, the line their mean, {INTERVAL_WORDS}."
        parts.append(dot_chart(f"{first.name} of each case", f"{first.name}, 1 is perfect", dots, words))
    return Section("Scores", [element("div", *parts, class_="beside"), element("p", DEFINITIONS, class_="quiet")])


def held_out_section(training: Mapping[str, Any]) -> Section | None:
    """How well the model does on what training held out, as its description says it; None where it held out nothing."""
    validation = training.get("validation")
    if not validation:
        return None
    rows: list[list[Cell]] = [
        [each["name"], *(measure.cell(measure.of_json(each)) for measure in MEASURES), int(each["voxels"])]
        for each in [*validation["classes"], {"name": "mean", "voxels": validation["voxels"], **validation["mean"]}]
    ]
    shown = table(["class", *(each.name for each in MEASURES), "labelled voxels"], rows, total=True)
    parts = [str(training.get("held_out", "")), shown, element("p", DEFINITIONS, class_="quiet")]
    return Section("Scores on what was held out", [part for part in parts if part])


def case_section(scores: ScoreTable, learned_from: Collection[str], shown: Collection[str]) -> Section:
    """A row for each case, the worst first.

    Args:
        scores: of the cases.
        learned_from: names of cases that the model learned from.
        shown: names of cases that the report shows.
    """
    first = MEASURES[0]
    names = scores.names if len(scores.names) <= MOST_CLASSES else ()
    known = any(case.name in learned_from for case in scores.cases)
    rows = [_case_row(case, len(names), case.name in learned_from if known else None) for case in scores.cases]
    header = ["case", *(["learned from"] if known else []), "labelled voxels"]
    header += [*(f"{first.name} {name}" for name in names), *(f"mean {measure.name}" for measure in MEASURES)]
    pictures = f" Pictures of {', '.join(shown)} are below." if shown else ""
    words = f"The cases to look at first are on top: ranked by their mean {first.name}.{pictures}"
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


def seen_before(names: Collection[str], training: Mapping[str, Any]) -> Html | None:
    """What to know of scores of cases that the model learned from; None where it is not known to have.

    Args:
        names: of the cases.
        training: what the model says of it.
    """
    learned_from = training.get("learned_from") or ()
    seen = [name for name in names if name in learned_from]
    if not seen:
        return None
    which = "all of these cases" if len(seen) == len(names) else f"{len(seen)} of these {len(names)} cases"
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


def _case_row(case: CaseScores, classes: int, seen: bool | None) -> list[Any]:
    first = MEASURES[0]
    return [
        case.name,
        *([] if seen is None else ["yes" if seen else "no"]),
        case.scores.voxels,
        *(first.of_case(case.scores, number) for number in range(classes)),
        *(measure.cell(measure.of_case(case.scores, None)) for measure in MEASURES),
    ]
