"""`unet3d evaluate`: score a label map against the truth."""

from __future__ import annotations

from pathlib import Path

import click
from unet3d_cli.options import debug_option, json_option


@click.command("evaluate", short_help="Score a label map against the truth.")
@click.argument("prediction", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--unlabeled", type=int, metavar="V", help="The value of voxels without a label in the truth.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Name classes, and know the unlabelled value, as this model does.",
)
@json_option
@debug_option
def command(prediction: Path, truth: Path, unlabeled: int | None, model: Path | None, as_json: bool) -> None:
    """Score PREDICTION against TRUTH: IoU and Dice per class and their means; only labelled voxels count.

    Means are over the classes that occur.

    \b
    Examples:
      unet3d evaluate labels.nii.gz truth.nii.gz
      unet3d evaluate labels.nii.gz annotation.nii.gz --unlabeled 3
      unet3d evaluate labels.nii.gz annotation.nii.gz --model models/unet3d --json
    """
    from unet3d_cli.tables import print_scores
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.serving.description import read_description

    scheme = None if model is None else read_description(model).scheme
    scores = api.evaluate(prediction, truth, unlabeled=unlabeled, scheme=scheme)
    terminal = Terminal(as_json=as_json)
    if not as_json:
        print_scores(terminal, scores)
    terminal.result(scores.as_json())
