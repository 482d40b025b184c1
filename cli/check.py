"""`unet3d check`: everything wrong with a dataset, at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import (
    choose_dataset,
    dataset_options,
    debug_option,
    json_option,
    meaning_options,
    read_meaning,
)

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check", short_help="Say everything that is wrong with a dataset.")
@dataset_options
@meaning_options
@json_option
@debug_option
def command(
    dataset: Path | None,
    images: tuple[Any, ...],
    annotations: tuple[Path, ...],
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    as_json: bool,
) -> None:
    """Say everything that is wrong with a dataset, and what it holds; takes the same arguments as `unet3d fit`.

    The exit status is 2 where something has to be mended, and 0 where there are at most warnings.

    \b
    Examples:
      unet3d check my_data
      unet3d check --image a.nii.gz --annotation a_labels.nii.gz --annotated-slices 'z=12,31 y=80'
    """
    chosen = choose_dataset(dataset, images, annotations)

    from unet3d_cli.tables import print_summary
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api

    terminal = Terminal(as_json=as_json)
    checked = api.check(chosen, read_meaning(annotated_slices, unlabeled, dense=dense))
    if not as_json:
        for problem in checked.problems:
            click.echo(f"{problem.severity.capitalize()}: {problem}", err=True)
        if checked.summary is not None:
            print_summary(terminal, checked.summary)
            terminal.say("Ready to train on.")
        else:
            click.echo(f"To mend: {checked.errors}.", err=True)
    terminal.result(
        {
            "ok": checked.summary is not None,
            "problems": [asdict(problem) for problem in checked.problems],
            "data": checked.summary.as_json() if checked.summary else None,
        }
    )
    if checked.summary is None:
        raise click.exceptions.Exit(2)
