"""`unet3d demo`: the whole story on the phantom."""

from __future__ import annotations

from pathlib import Path

import click
from unet3d_cli.options import debug_option, json_option, quiet_option


@click.command("demo", short_help="The whole story on synthetic kidneys, in five minutes.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="demo", show_default=True, help="Where everything goes."
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time until the model is exported.")
@click.option("--steps", type=click.IntRange(min=1), help="Train so many steps instead.")
@quiet_option
@json_option
@debug_option
def command(out: Path, minutes: float | None, steps: int | None, quiet: bool, as_json: bool) -> None:
    """Make synthetic kidneys, annotate some slices, train, segment, and score against the hidden truth.

    Takes under five minutes on two cores. Look at demo/report.html after it. Run again, it starts over.

    \b
    Examples:
      unet3d demo
      unet3d demo --out my_demo --minutes 10
    """
    if minutes is not None and steps is not None:
        raise click.UsageError("Give only one of --minutes and --steps.")
    from unet3d_cli.progress import TrainingProgress
    from unet3d_cli.score_tables import print_scores
    from unet3d_cli.tables import print_summary
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api

    terminal = Terminal(quiet=quiet, as_json=as_json)
    with TrainingProgress(terminal, lambda plan: print_summary(terminal, plan.summary)) as progress:
        shown = api.demo(out, minutes=minutes, steps=steps, listener=progress)
    terminal.say("\nAgainst the hidden truth, all volumes together:")
    print_scores(terminal, shown.scores)
    image, model = shown.data / "images" / "kidney_1.nii.gz", shown.model.parent
    terminal.say(
        f"Data:         {shown.data}\n"
        f"Model:        {shown.model}\n"
        f"Label maps:   {shown.segmented}\n"
        f"Report:       {shown.report}  (open it in a browser)\n"
        f"Next:         unet3d info {model}\n"
        f"              unet3d segment {image} labels.nii.gz --model {model}\n"
        f"              unet3d fit YOUR_DATA"
    )
    terminal.result(
        {
            "data": str(shown.data),
            "model": str(shown.model),
            "segmented": str(shown.segmented),
            "report": str(shown.report),
            "scores": shown.scores.as_json(),
        }
    )
    if not as_json:
        click.echo(f"mean IoU {shown.scores.mean_iou:.2f}")
