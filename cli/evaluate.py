"""`unet3d evaluate`: score label maps against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import debug_option, json_option, meaning_options, read_meaning

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.metrics import ScoreTable


@click.command("evaluate", short_help="Score label maps against the truth.")
@click.argument("prediction", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="OTHER", help="Compare with another prediction of the same."
)
@click.option(
    "--tolerance",
    metavar="LENGTH",
    help="Of the surface Dice, such as '2 mm', or 2 in the unit of the grid.  [default: the longest edge of a voxel]",
)
@meaning_options
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Name classes, and know the unlabelled value, as this model does.",
)
@click.option(
    "--csv", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write every score, a row per case."
)
@json_option
@debug_option
def command(
    prediction: Path,
    truth: Path,
    against: Path | None,
    tolerance: str | None,
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    model: Path | None,
    csv: Path | None,
    as_json: bool,
) -> None:
    """Score PREDICTION against TRUTH, two label maps on one grid, or two folders of them with the same names.

    Only labelled voxels count; where a few slices of TRUTH are annotated, say what 0 means in the others. Overlap is
    IoU, Dice, precision, recall, and the difference of the volumes as a share of the true one. Where the truth is
    dense, the distance between borders is measured as well, in the unit of the grid: the largest (HD), the larger of
    the two directions' 95th percentiles (HD95), the mean (ASSD), and the share of both borders that lies within a
    tolerance of the other (surface Dice).

    Means are over the classes that occur. A class in neither of the two has no score; one that only one of them has
    scores 0, at an infinite distance. Folders give a table of cases, the worst first, and over the cases mean, standard
    deviation and the 95 % interval of the mean, by resampling the cases.

    With --against, the two predictions are compared case by case: the mean difference with its interval, and p of
    Wilcoxon's signed-rank test.

    \b
    Examples:
      unet3d evaluate labels.nii.gz truth.nii.gz --tolerance '1.5 mm'
      unet3d evaluate labels.nii.gz annotation.nii.gz --unlabeled 3
      unet3d evaluate labels.nii.gz annotation.nii.gz --annotated-slices 'z=12,31 y=80'
      unet3d evaluate labels.nii.gz annotation.nii.gz --model models/unet3d --json
      unet3d evaluate segmented truth --model models/unet3d --csv scores.csv
      unet3d evaluate segmented truth --against segmented_before
    """
    from unet3d_cli.progress import CaseProgress
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.serving.description import read_description
    from keras_unet3d.volumes.whole_file import check_parent, written_whole

    if csv:
        check_parent(csv)  # not after minutes of scoring
    terminal = Terminal(as_json=as_json)
    meaning = read_meaning(annotated_slices, unlabeled, dense=dense)
    scheme = None if model is None else read_description(model).scheme
    call: dict[str, Any] = {"meaning": meaning, "scheme": scheme, "tolerance": tolerance, "warn": terminal.warn}
    with CaseProgress(terminal) as progress:
        call["progress"] = progress.done
        paired = api.compare(prediction, against, truth, **call) if against else None
        table = paired.first if paired else api.evaluate_cases(prediction, truth, **call)
    several = api.holds_cases(prediction)
    if not as_json:
        _print(terminal, table, several=several)
        if paired:
            from unet3d_cli.score_tables import print_paired

            print_paired(terminal, paired, str(prediction), str(against))
    if csv:
        with written_whole(csv) as file:
            file.write_text(table.as_csv(), encoding="utf-8")
        terminal.note(f"Every score of every case: {csv}")
    if as_json:
        terminal.result(_as_json(table, several=several) | ({"against": paired.as_json()} if paired else {}))


def _print(terminal: Terminal, table: ScoreTable, *, several: bool) -> None:
    from unet3d_cli.score_tables import print_cases, print_notes, print_scores

    if several:
        print_cases(terminal, table)
    else:
        print_scores(terminal, table.cases[0].scores)
    print_notes(terminal, table)


def _as_json(table: ScoreTable, *, several: bool) -> dict[str, Any]:
    return table.as_json() if several else table.cases[0].scores.as_json()
