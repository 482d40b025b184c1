"""`unet3d suggest`: which slice to annotate next."""

from __future__ import annotations

import shlex
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import Channels, debug_option, json_option, meaning_options, quiet_option, read_meaning

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.jobs.suggesting import Suggestions

COUNT, FOLDER = 5, "suggestions"


@click.command("suggest", short_help="Which slices to annotate next.")
@click.argument("image", type=Channels())
@click.option(
    "--annotation",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="What is annotated of IMAGE so far.",
)
@click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="The model that learned from it; the newest version in models/unet3d unless said otherwise. Of several, or of "
    "one made by fit --folds, it counts where they contradict each other.",
)
@click.option("--count", type=int, default=COUNT, show_default=True, help="Slices.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Folder for the pictures and the file to go on with; rounds are numbered in it.",
)
@meaning_options
@quiet_option
@json_option
@debug_option
def command(
    image: Any,
    annotation: Path,
    models: tuple[Path, ...],
    count: int,
    folder: Path,
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say which slices of IMAGE to annotate next: in each orientation where the model is unsure, far from others.

    Writes a picture of each, and an annotation file in which these slices are filled with what the model says: correct
    them in 3D Slicer, ITK-SNAP, napari or Fiji, and train again with that file. The gain is by how much nearer, on
    average, what the model is unsure of comes to an annotated slice of that orientation, as a share of its extent.

    \b
    Examples:
      unet3d suggest a.nii.gz --annotation a_slices.nii.gz
      unet3d suggest a.nii.gz --annotation a_slices.nii.gz --count 3 --model models/first --model models/second
    """
    from unet3d_cli.progress import VoxelProgress
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api

    terminal = Terminal(quiet=quiet, as_json=as_json)
    meaning = read_meaning(annotated_slices, unlabeled, dense=dense)
    with VoxelProgress(terminal) as progress:
        found = api.suggest(
            image,
            annotation,
            folder,
            model=list(models) or api.DEFAULT_MODEL,
            count=count,
            meaning=meaning,
            progress=progress.done,
        )
    for warning in found.warnings:
        terminal.warn(warning)
    if found.slices:
        _say_slices(terminal, found)
    if len(found.slices) < count:
        no = "No other slice" if found.slices else "No slice"
        terminal.say(f"{no} would teach anything: the model is sure of the rest, or it is annotated.")
    if found.slices:
        _say_commands(terminal, found, ",".join(map(str, image)), count, folder)
    else:
        terminal.say(f"{found.annotation} is what was annotated, as it was.")
    terminal.result(found.as_json())


def _say_slices(terminal: Terminal, found: Suggestions) -> None:
    terminal.say("To annotate next, that which would teach most first:")
    rows = [
        [
            name,
            f"{each.gain:.3f}",
            f"{each.uncertainty:.3f}",
            f"{each.distance:.3g} {found.unit}".strip() if isfinite(each.distance) else "none",
        ]
        for name, each in zip(found.names, found.slices, strict=True)
    ]
    terminal.table(["slice", "gain", "uncertainty", "nearest annotated one"], rows)


def _say_commands(terminal: Terminal, found: Suggestions, image: str, count: int, folder: Path) -> None:
    terminal.say(f"Correct these slices in {found.annotation}; pictures are beside it. Then train, and ask again:")
    known = ["--annotation", str(found.annotation), *found.meaning.arguments]
    asked = ["--count", str(count)] if count != COUNT else []
    asked += ["--out", str(folder)] if str(folder) != FOLDER else []
    terminal.say(f"  {shlex.join(['unet3d', 'fit', '--image', image, *known])}")
    terminal.say(f"  {shlex.join(['unet3d', 'suggest', image, *known, *asked])}")
    terminal.say(
        "That trains on this image alone. If it is one of a dataset, put the file in place of its labels there instead."
    )
