"""The page of an experiment: its table beside the paper's, and how scores grow with slices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keras_unet3d.evaluation.case_view import CaseView
from keras_unet3d.evaluation.charts import Line, line_chart
from keras_unet3d.evaluation.experiments import MOST_COLUMNS, ExperimentScores
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.page import Page, Section
from keras_unet3d.evaluation.protocols import PAPER
from keras_unet3d.evaluation.score_sections import case_section, score_section
from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.evaluation.tables import Bar, Cell, table
from keras_unet3d.evaluation.volume_view import MOST_VOXELS, VolumeView, views_html
from keras_unet3d.metrics.overlap import mean_of_present
from keras_unet3d.training.curves import Curves
from keras_unet3d.wording import counted

_LEADS = {
    "semi": "Annotated slices were parted into folds; each network learned from all folds but one and was scored on "
    "the slices of that one (Çiçek et al. 2016, table 1).",
    "sparsity": "Networks learned from more and more annotated slices of one volume, and were scored where none of "
    "them had learned (Çiçek et al. 2016, table 2).",
    "full": "Networks learned from all volumes but one, and were scored on that one (Çiçek et al. 2016, table 3).",
}


@dataclass(frozen=True, eq=False)
class Shown:
    """A training of one row, to be looked at.

    Attributes:
        network: its name.
        curves: how it went.
        view: the case that it does worst, None where none was kept.
    """

    network: str
    curves: Curves
    view: CaseView | None


def experiment_page(
    scores: ExperimentScores, row: str, shown: Sequence[Shown], volumes: Sequence[str], settings: str
) -> Page:
    """What came of an experiment, for people.

    Args:
        scores: of all trainings.
        row: the name of the row that is shown.
        shown: its trainings, one of each network.
        volumes: names of all that was annotated.
        settings: of every training, as given.
    """
    header, *rows = scores.table()
    note = (
        "Intersection over union, TP / (TP + FN + FP), at voxels that were not learned from: mean over the classes of "
        "each volume, then over the volumes. "
        "The paper's data are other volumes, and its networks were trained for days."
    )
    parts: list[str] = [note, table(header, rows), *scores.notes]
    if scores.protocol == "sparsity":
        parts.append(_growth(scores))
    sections = [Section("Mean IoU", parts), *([] if scores.protocol == "sparsity" else _cases(scores))]
    sections += [*_pictures(row, shown), _learned(scores, volumes, settings), _curves(row, shown), _each(scores)]
    with_views = any(each.view for each in shown)
    filled = [section for section in sections if section.parts]
    return Page(f"Experiment: {scores.protocol}", [_LEADS[scores.protocol]], filled, volume_view=with_views)


def _cases(scores: ExperimentScores) -> list[Section]:
    """Each volume by each network, the worst first, and what to expect of others."""
    found = []
    for network in scores.networks:
        of_cases = scores.of_cases(network)
        parts = [*score_section(of_cases).parts, *case_section(of_cases, (), ()).parts]
        found.append(Section(f"Volumes, {network}", parts))
    return found


def _pictures(row: str, shown: Sequence[Shown]) -> list[Section]:
    views = [(each.network, each.view) for each in shown if each.view is not None]
    if not views:
        return []
    words = f"{row}, which was done worst: of each network the volume that it does worst, and where it was scored."
    named = [replace(view, name=f"{view.name}, {network}") for network, view in views]
    browsers = [slice_legend(views[0][1])]
    for view in named:
        browsers += [element("h3", view.name), slice_browser(view)]
    sides = views_html([VolumeView.of(view, MOST_VOXELS // len(views)) for view in named])
    return [Section("Slices", [words, *browsers]), Section("From all sides", [sides])]


def _learned(scores: ExperimentScores, volumes: Sequence[str], settings: str) -> Section:
    told = (
        f"{counted(len(volumes), 'volume')}: {', '.join(volumes)}. Classes: {', '.join(scores.scheme.names)}. How much "
        "was labelled for each training says the last table. What is not set here each training decided from what it "
        "learned from, and keeps in its folder."
    )
    return Section("What they learned from", [told, element("pre", settings)])


def _curves(row: str, shown: Sequence[Shown]) -> Section:
    lines = [
        Line(each.network, [(point.step, point.loss) for point in each.curves.learned], kind=number)
        for number, each in enumerate(shown)
        if each.curves.learned
    ]
    chart = [line_chart(f"Loss of the training tiles, {row}", "step", "loss", lines)] if lines else []
    return Section("How they learned", chart)


def _each(scores: ExperimentScores) -> Section:
    names = scores.scheme.names
    rows: list[list[Cell]] = [
        [
            trial.part,
            ", ".join(trial.overlaps) if len(trial.overlaps) < MOST_COLUMNS else counted(len(trial.overlaps), "volume"),
            trial.network,
            f"{trial.steps:,}",
            f"{trial.minutes:.1f}",
            f"{trial.labelled:.1%}",
            *(Bar(trial.iou(number)) for number in range(len(names))),
        ]
        for trial in scores.trials
    ]
    header = ["training", "scored on", "network", "steps", "minutes", "labelled", *names]
    return Section("Each training, each class", [table(header, rows)])


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
