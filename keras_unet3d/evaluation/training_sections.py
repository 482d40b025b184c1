"""What a report says of a model and its training: all of it from the model's description."""

import json
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from keras_unet3d.evaluation.charts import Line, line_chart
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.page import Section, facts_list, folded
from keras_unet3d.evaluation.tables import Cell, table
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.facts import model_facts
from keras_unet3d.training.curves import Curves
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.wording import counted

MOST_CURVES = 7
"""Classes with a curve of their own."""


def training_sections(description: ModelDescription) -> list[Section]:
    """What it was trained on, how that went, what was decided, and what the model is."""
    training = description.training
    sections = [_data_section(training)]
    if chart := _curves(training) or _curves_of_folds(training):
        sections.append(Section("How it learned", chart))
    sections.append(_model_section(description))
    return [section for section in sections if section.parts]


def _data_section(training: Mapping[str, Any]) -> Section:
    voxels: Mapping[str, int] = training.get("labelled_voxels") or {}
    parts: list[str] = []
    total = max(1, sum(voxels.values()))
    if voxels:
        share: list[list[Cell]] = [[name, count, f"{count / total:.1%}"] for name, count in voxels.items()]
        words = f"{total:,} labelled voxels of {counted(training.get('cases', 0), 'case')}"
        parts.append(table(["class", "labelled voxels", "share"], share, caption=words))
    if training.get("held_out"):
        parts.append(str(training["held_out"]))
    data = training.get("data") or {}
    rows: Sequence[Mapping[str, Any]] = data.get("rows") or ()
    if rows:
        more = training.get("cases", len(rows)) - len(rows)
        parts.append(table(["case", "size", "spacing", "annotated", "labelled"], [_case_row(row) for row in rows]))
        parts += [f"… and {counted(more, 'case')} more."] if more > 0 else []
    return Section("What it was trained on", parts)


def _case_row(row: Mapping[str, Any]) -> list[Cell]:
    size, spacing = ([row[what][axis] for axis in AXES] for what in ("shape", "spacing"))
    z, y, x = (row["slices"][axis] for axis in AXES)
    annotated = "every voxel" if row["dense"] else f"slices: {named((z, y, x))}"
    return [
        row["name"],
        named(size),
        named(spacing, row["unit"]),
        annotated,
        f"{row['labelled']:,} voxels, {row['share']:.1%}",
    ]


def _curves(training: Mapping[str, Any]) -> list[str]:
    """Loss and IoU by step, and which step was kept."""
    curves = Curves.from_json(training.get("curves"))
    if not curves.learned:
        return []
    learned = curves.learned
    loss = Line("loss", [(point.step, point.loss) for point in learned], dots=len(learned) < 3)
    lines = [Line("training tiles, mean", [(point.step, point.mean_iou) for point in learned], dots=len(learned) < 3)]
    if curves.validated:
        held_out = [(point.step, point.mean_iou) for point in curves.validated]
        lines.append(Line("held out, mean", held_out, dots=True, kind=1))
        for number, name in enumerate(list(curves.validated[0].iou)[: MOST_CURVES - 1]):
            of_class = [(point.step, point.iou[name]) for point in curves.validated]
            lines.append(Line(f"held out, {name}", of_class, kind=2 + number))
    charts = [
        line_chart("Loss of the training tiles", "step", "loss", [loss]),
        line_chart("IoU", "step", "IoU, 1 is perfect", lines, top=1.0),
    ]
    words = f"{training.get('steps', 0):,} steps in {training.get('minutes', 0):g} minutes."
    if curves.validated and training.get("kept_step"):
        words += f" The weights of step {training['kept_step']:,} were kept: the best on what was held out."
    return _drawn(words, charts)


def _curves_of_folds(training: Mapping[str, Any]) -> list[str]:
    """Loss and IoU of each network of a cross-validation by step."""
    told = training.get("curves_of_folds")
    folds = [Curves.from_json(each).learned for each in (told if isinstance(told, list) else [])]
    known = [(number, learned) for number, learned in enumerate(folds) if learned]
    if not known:
        return []
    loss, iou = (
        [
            Line(f"fold {number + 1}", [(point.step, of(point)) for point in learned], len(learned) < 3, kind=number)
            for number, learned in known
        ]
        for of in (attrgetter("loss"), attrgetter("mean_iou"))
    )
    charts = [
        line_chart("Loss of the training tiles", "step", "loss", loss),
        line_chart("IoU of the training tiles, mean", "step", "IoU, 1 is perfect", iou, top=1.0),
    ]
    steps, minutes = training.get("steps", 0), training.get("minutes", 0)
    return _drawn(f"{steps:,} steps of {counted(len(folds), 'network')} in {minutes:g} minutes.", charts)


def _drawn(words: str, charts: Sequence[Html]) -> list[str]:
    note = "Each point of training is a mean over up to 50 steps, of augmented tiles with the weights of that moment."
    return [words, element("div", *charts, class_="charts"), element("p", note, class_="quiet")]


def _model_section(description: ModelDescription) -> Section:
    parts: list[Html] = [facts_list(list(model_facts(description).items()))]
    decisions = description.training.get("decisions") or ()
    if decisions:
        decided = [(each["setting"], f"{each['value']}: {each['reason']}") for each in decisions]
        parts += [element("h3", "What was decided from the data and the machine"), facts_list(decided)]
    if description.settings:
        text = json.dumps(description.settings, indent=1, ensure_ascii=False)
        parts.append(folded("All settings", element("pre", element("code", text))))
    return Section("The model", parts)
