"""`unet3d report`: a page to judge a model by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from unet3d_cli.options import (
    choose_dataset,
    dataset_options,
    debug_option,
    json_option,
    meaning_options,
    quiet_option,
    read_meaning,
)


@click.command("report", short_help="Write a page to judge a model by.")
@click.argument("model", type=click.Path(path_type=Path))
@dataset_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    metavar="FILE.html",
    help="The page; it is replaced where it exists.",
)
@meaning_options
@quiet_option
@json_option
@debug_option
def command(
    model: Path,
    dataset: Path | None,
    images: tuple[Any, ...],
    annotations: tuple[Path, ...],
    out: Path,
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write one HTML file about MODEL: what it learned from, how that went, and what it is. It opens offline.

    With DATASET its cases are segmented and compared with their labels, dense or in slices: scores, the worst cases
    first, slices with what is missed and what is too much, a 3D view, and where the model is unsure.

    \b
    Examples:
      unet3d report models/unet3d
      unet3d report models/unet3d new_cases --out new_cases.html
      unet3d report models/unet3d --image a.nii.gz --annotation a_labels.nii.gz --unlabeled 3
    """
    chosen = choose_dataset(dataset, images, annotations) if dataset or images or annotations else None

    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.evaluation.tables import score_text

    terminal = Terminal(quiet=quiet, as_json=as_json)
    meaning = read_meaning(annotated_slices, unlabeled, dense=dense)
    written = api.report(model, chosen, out, meaning=meaning, say=terminal.note)
    if written.scores is not None:
        mean = written.scores.mean_dice
        terminal.say(f"Mean Dice {mean}, of {mean.cases} {'case' if mean.cases == 1 else 'cases'}.")
        if mean.cases > 1:
            worst = written.scores.cases[0]
            terminal.say(f"Worst: {worst.name}, {score_text(worst.scores.mean_dice)}")
    terminal.say(f"Report: {written.path}  (open it in a browser)")
    terminal.result(
        {
            "report": str(written.path),
            "model": str(written.model),
            "scores": written.scores.as_json() if written.scores else None,
        }
    )
