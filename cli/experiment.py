"""`unet3d experiment`: the paper's experiments on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import (
    Setting,
    Sizes,
    choose_dataset,
    dataset_options,
    debug_option,
    json_option,
    meaning_options,
    quiet_option,
    read_meaning,
)

from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.api import ExperimentPlan


@click.command("experiment", short_help="Repeat the paper's experiments on a dataset.")
@click.argument("protocol", type=click.Choice(["semi", "sparsity", "full"]))
@dataset_options
@click.option("--minutes", type=float, help="Of each training; 30 unless said otherwise.")
@click.option("--steps", type=int, help="Train so many steps instead, each.")
@click.option("--folds", type=int, metavar="N", help="Of semi; the paper's 3 unless said otherwise.")
@click.option(
    "--slices",
    type=Sizes(minimum=0),
    multiple=True,
    help="Of sparsity: slices orthogonal to x, y and z that are learned from; repeat for more rows. The paper's unless "
    "said otherwise.",
)
@click.option(
    "--network",
    "networks",
    type=click.Choice(["3D without BN", "3D with BN", "2D with BN"]),
    multiple=True,
    help="Only this network; repeat for others. All three unless said otherwise, for sparsity '3D with BN'.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Trainings at a time, each with its share of the processor. By default one for each GPU; without GPUs, one.",
)
@meaning_options
@click.option("--config", type=click.Path(path_type=Path), help="Settings from a TOML file, as for fit.")
@click.option("--set", "assigned", type=Setting(), multiple=True, help="Any setting by its name. Repeat for others.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="Folder for results, checkpoints and TensorBoard's logs.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained; write nothing.")
@quiet_option
@json_option
@debug_option
def command(
    protocol: Any,
    dataset: Path | None,
    images: tuple[Any, ...],
    annotations: tuple[Path, ...],
    minutes: float | None,
    steps: int | None,
    folds: int | None,
    slices: tuple[Any, ...],
    networks: tuple[str, ...],
    workers: int | None,
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    config: Path | None,
    assigned: tuple[tuple[str, Any], ...],
    runs: Path,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Repeat an experiment of Çiçek et al. 2016 on DATASET, with annotated slices or dense labels.

    \b
    semi      part the annotated slices into folds, learn from all folds but one, score on that one (table 1)
    sparsity  learn from more and more slices of one volume, score on those that no step learns from (table 2)
    full      learn from all volumes but one, score on that one (table 3)

    Scores are the intersection over union at voxels that were not learned from, in a table beside the paper's. Where
    there are several GPUs each trains for itself; --workers does the same on one processor. The same command continues
    an experiment that was killed.

    \b
    Examples:
      unet3d experiment semi my_data --minutes 60
      unet3d experiment sparsity my_data --slices 'x=1 y=1 z=1' --slices 'x=3 y=3 z=2' --minutes 30
      unet3d experiment full my_data --network '3D with BN' --steps 2000 --set network.filters=16
    """
    if minutes is not None and steps is not None:
        raise click.UsageError("Give only one of --minutes and --steps.")
    for given, name, of in ((folds, "--folds", "semi"), (slices, "--slices", "sparsity")):
        if given not in (None, ()) and protocol != of:
            raise click.UsageError(f"{name} is for the experiment {of!r}, not for {protocol!r}.")
    chosen = choose_dataset(dataset, images, annotations)

    from unet3d_cli.progress import TrainingProgress
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.annotation import Dataset, read_dataset
    from keras_unet3d.training.settings import read_settings

    settings = read_settings(config, {**dict(assigned), "minutes": minutes, "steps": steps})
    terminal = Terminal(quiet=quiet, as_json=as_json)
    files = chosen if isinstance(chosen, Dataset) else read_dataset(chosen)
    call: dict[str, Any] = {
        "networks": networks or None,
        "folds": folds,
        "steps": slices or None,
        "meaning": read_meaning(annotated_slices, unlabeled, dense=dense),
    }
    if dry_run:
        plan = api.plan_experiment(files, protocol, settings, **call)
        _print_plan(terminal, plan)
        terminal.result({"trials": [str(trial) for trial in plan.trials]})
        return

    with TrainingProgress(terminal, lambda plan: _print_plan(terminal, plan)) as progress:
        found = api.experiment(files, protocol, settings, runs=runs, workers=workers, listener=progress, **call)
    header, *rows = found.scores.table()
    terminal.say("\nIntersection over union at voxels that were not learned from:")
    terminal.table(header, rows)
    for note in found.scores.notes:
        terminal.say(note)
    terminal.say(f"Results: {found.run}/report.html, {found.run}/experiment.json, {found.run}/experiment.md")
    terminal.result({**found.scores.as_json(), "run": str(found.run)})


def _print_plan(terminal: Terminal, plan: ExperimentPlan) -> None:
    settings = plan.settings
    each = counted(settings.steps, "step") if settings.steps else f"{settings.minutes:g} minutes"
    terminal.note(f"{counted(len(plan.trials), 'training')} of {each} each:")
    for trial in plan.trials:
        terminal.note(f"  {trial}")
    for note in plan.notes:
        terminal.note(note)
