"""The page of an experiment: its table beside the paper's, and how scores grow with slices."""

from keras_unet3d.evaluation.charts import Line, line_chart
from keras_unet3d.evaluation.experiments import MOST_COLUMNS, ExperimentScores
from keras_unet3d.evaluation.html import Html
from keras_unet3d.evaluation.page import Page, Section
from keras_unet3d.evaluation.protocols import PAPER
from keras_unet3d.evaluation.tables import Bar, Cell, table
from keras_unet3d.metrics.overlap import mean_of_present
from keras_unet3d.wording import counted

_LEADS = {
    "semi": "Annotated slices were parted into folds; each network learned from all folds but one and was scored on "
    "the slices of that one (Çiçek et al. 2016, table 1).",
    "sparsity": "Networks learned from more and more annotated slices of one volume, and were scored where none of "
    "them had learned (Çiçek et al. 2016, table 2).",
    "full": "Networks learned from all volumes but one, and were scored on that one (Çiçek et al. 2016, table 3).",
}


def experiment_page(scores: ExperimentScores) -> Page:
    """What came of an experiment, for people."""
    header, *rows = scores.table()
    note = (
        "Intersection over union, TP / (TP + FN + FP), at voxels that were not learned from: mean over the classes of "
        "each volume, then over the volumes. "
        "The paper's data are other volumes, and its networks were trained for days."
    )
    parts: list[str] = [note, table(header, rows), *scores.notes]
    if scores.protocol == "sparsity":
        parts.append(_growth(scores))
    names = scores.scheme.names
    each: list[list[Cell]] = [
        [
            trial.part,
            ", ".join(trial.overlaps) if len(trial.overlaps) < MOST_COLUMNS else counted(len(trial.overlaps), "volume"),
            trial.network,
            f"{trial.steps:,}",
            f"{trial.minutes:.1f}",
            *(Bar(trial.iou(number)) for number in range(len(names))),
        ]
        for trial in scores.trials
    ]
    sections = [
        Section("Mean IoU", parts),
        Section("Each class", [table(["training", "scored on", "network", "steps", "minutes", *names], each)]),
    ]
    return Page(f"Experiment: {scores.protocol}", [_LEADS[scores.protocol]], sections)


def _growth(scores: ExperimentScores) -> Html:
    """Mean IoU over the share of labelled voxels."""
    rows = {part: 100 * scores.labelled(part) for part in scores.parts}
    lines = [
        Line(
            network,
            [(share, scores.mean_iou(part, network)) for part, share in rows.items()],
            dots=True,
            kind=number,
        )
        for number, network in enumerate(scores.networks)
    ]
    known = [(rows[part], mean_of_present(ious)) for part, ious in PAPER["sparsity"].items() if part in rows]
    if known:
        lines.append(Line("the paper's, with the same slices", known, dots=True, kind=len(lines)))
    return line_chart("Mean IoU over labelled voxels", "labelled voxels, %", "mean IoU", lines, top=1.0)
