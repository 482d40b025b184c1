"""`unet3d fit`: train."""

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
    model_name,
    quiet_option,
    read_meaning,
)
from unet3d_cli.training_plan import plan_as_json, print_next, print_plan, print_settings

from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.api import FitPlan, FitResult
    from keras_unet3d.training.presets import Preset
    from keras_unet3d.training.settings import Settings

FLAGS = {
    "minutes": "minutes",
    "steps": "steps",
    "seed": "seed",
    "start": "start",
    "filters": "network.filters",
    "padding": "network.padding",
    "normalization": "network.normalization",
    "statistics": "network.statistics",
    "working_spacing": "working_spacing",
    "tile": "tile",
    "batch_size": "batch_size",
    "accumulate": "accumulate",
    "devices": "devices",
    "learning_rate": "optimizer.learning_rate",
    "precision": "precision",
    "augmentation": "engine",
    "augment_on": "augment_on",
    "hold_out": "hold_out",
}
"""Which setting each flag sets; all other settings are set with --set and --config."""


@click.command("fit", short_help="Train on annotated volumes; exports a model.")
@dataset_options
@click.option("--minutes", type=float, help="Time until the model is exported; 30 unless said otherwise.")
@click.option("--steps", type=int, help="Train so many steps instead: repeatable, whatever the machine's speed.")
@click.option(
    "--folds",
    type=int,
    metavar="N",
    help="Cross-validate: N trainings that share the minutes, each scored on the cases that it leaves out; exports the "
    "mean of their networks.",
)
@meaning_options
@click.option("--name", default="unet3d", show_default=True, callback=model_name, help="What the model is called.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default="models",
    show_default=True,
    help="Folder that the model is exported into, as NAME/1, NAME/2, …",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="Folder for checkpoints and TensorBoard's logs.",
)
@click.option(
    "--preset", type=click.Choice(["paper"]), help="Settings that belong together; paper: those of Çiçek et al. 2016."
)
@click.option("--config", type=click.Path(path_type=Path), help="Settings from a TOML file, as --dry-run prints them.")
@click.option("--set", "assigned", type=Setting(), multiple=True, help="Any setting by its name. Repeat for others.")
@click.option(
    "--from",
    "start",
    metavar="MODEL",
    help="Begin with the weights of this model; it knows channels and classes of the same names, others are new.",
)
@click.option("--seed", type=int, help="Decides every random number.")
@click.option("--filters", type=int, help="Base filters of the network; 32 in the paper.")
@click.option("--padding", type=click.Choice(["valid", "same"]), help="Unpadded as in the paper, or zero-padded.")
@click.option("--normalization", type=click.Choice(["batch", "group", "instance", "none"]), help="Of the network.")
@click.option(
    "--statistics",
    type=click.Choice(["moving", "current"]),
    help="Of batch normalisation when segmenting: those of training, or those of what is segmented, as in the paper "
    "(see unet3d segment --statistics).",
)
@click.option(
    "--working-spacing",
    metavar="'x=… y=… z=… mm'|none",
    help="Resample all cases to this spacing, and later what is segmented; none leaves them as they are.",
)
@click.option("--tile", type=Sizes(), help="Input voxels of a tile.")
@click.option("--batch-size", type=int, help="Tiles per step, of all devices together.")
@click.option(
    "--accumulate",
    type=int,
    help="Compute a batch in so many parts, one after the other: needs less memory.",
)
@click.option(
    "--devices",
    type=click.Choice(["one", "all"]),
    help="Share each step among all GPUs of this machine. Several machines share it where TF_CONFIG names them, or "
    "Slurm does: run the same command on each, as with srun.",
)
@click.option("--learning-rate", type=float, help="At the start.")
@click.option(
    "--precision", type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]), help="Of the computation."
)
@click.option(
    "--augmentation", type=click.Choice(["auto", "elasticdeform", "compiled"]), help="Which engine deforms tiles."
)
@click.option(
    "--augment-on",
    type=click.Choice(["auto", "cpu", "device"]),
    help="Make the images of tiles on CPU threads, ahead of the step, or within the step on its device; auto measures "
    "which is faster, where a GPU waits for them.",
)
@click.option(
    "--hold-out", type=click.Choice(["auto", "cases", "slices", "nothing"]), help="What is kept to validate on."
)
@click.option(
    "--profile",
    is_flag=True,
    help="Write a profile of some steps for TensorBoard; tensorboard-plugin-profile shows it.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done and with which settings; write nothing.")
@quiet_option
@json_option
@debug_option
def command(
    dataset: Path | None,
    images: tuple[Any, ...],
    annotations: tuple[Path, ...],
    annotated_slices: tuple[str, ...],
    unlabeled: int | None,
    dense: bool,
    folds: int | None,
    name: str,
    models: Path,
    runs: Path,
    preset: Preset | None,
    config: Path | None,
    assigned: tuple[tuple[str, Any], ...],
    profile: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a network on annotated volumes and export it as the next version of a model.

    DATASET is a folder with dataset.json (Decathlon or nnU-Net), or with images/ and labels/ (or imagesTr/ and
    labelsTr/) in which names match. What is not set is decided from the data, and said.

    Ctrl-C ends the training early, keeps the best weights and exports them; with --folds it exports nothing. The same
    command again continues a training that was killed, and folds that were interrupted.

    \b
    Examples:
      unet3d fit my_data --minutes 60
      unet3d fit --image a.nii.gz --annotation a_labels.nii.gz --annotated-slices 'z=12,31 y=80'
      unet3d fit --image a_c0.tif,a_c1.tif --annotation a_labels.tif --set augmentation.displacement_sigma=6
      unet3d fit my_data --folds 5 --minutes 60
      unet3d fit my_data --dry-run
    """
    if flags["minutes"] is not None and flags["steps"] is not None:
        raise click.UsageError("Give only one of --minutes and --steps.")
    if profile and folds is not None:
        raise click.UsageError("Give only one of --profile and --folds.")
    chosen = choose_dataset(dataset, images, annotations)

    from unet3d_cli.progress import TrainingProgress
    from unet3d_cli.terminal import Terminal

    from keras_unet3d import api
    from keras_unet3d.annotation import Dataset, read_dataset
    from keras_unet3d.training.settings import read_settings

    meaning = read_meaning(annotated_slices, unlabeled, dense=dense)
    settings = read_settings(config, {**dict(assigned), **_set(flags)}, preset)
    terminal = Terminal(quiet=quiet, as_json=as_json)
    terminal.note(f"Reading {dataset or counted(len(images), 'annotated image')} …")
    files = chosen if isinstance(chosen, Dataset) else read_dataset(chosen)
    if folds is not None:
        from unet3d_cli.folds import cross_validate, print_plan_of_folds

        if dry_run:
            print_plan_of_folds(terminal, api.plan_cross_validation(files, settings, folds=folds, meaning=meaning))
            return
        call = {"folds": folds, "meaning": meaning, "name": name, "models": models, "runs": runs}
        cross_validate(terminal, files, settings, call, quiet=quiet and not as_json)
        return
    if dry_run:
        plan = api.plan_fit(files, settings, meaning=meaning)
        print_plan(terminal.aside(), plan)
        print_settings(terminal, plan.settings)
        terminal.result(plan_as_json(plan))
        return

    plans: list[FitPlan] = []

    def on_plan(plan: FitPlan) -> None:
        plans.append(plan)
        print_plan(terminal, plan)
        terminal.note(f"Training for {_budget(plan.settings)}. Ctrl-C ends it early, keeps the best and exports.")

    with TrainingProgress(terminal, on_plan) as progress:
        fitted = api.fit(
            files,
            settings,
            meaning=meaning,
            name=name,
            models=models,
            runs=runs,
            listener=progress,
            profile=profile,
        )
    _print_result(terminal, fitted, files.cases[0].images, runs, quiet=quiet and not as_json)
    terminal.result({**_result_as_json(fitted), **plan_as_json(plans[0])})


def _set(flags: dict[str, Any]) -> dict[str, Any]:
    return {FLAGS[flag]: value for flag, value in flags.items() if value is not None}


def _budget(settings: Settings) -> str:
    return counted(settings.steps, "step") if settings.steps else f"{settings.minutes:g} minutes"


def _print_result(terminal: Terminal, fitted: FitResult, image: tuple[Path, ...], runs: Path, *, quiet: bool) -> None:
    from unet3d_cli.score_tables import print_scores

    if fitted.model is None:
        terminal.note("Done; worker 0 exports the model.")
        return
    if quiet:
        click.echo(fitted.model)
        return
    terminal.say(f"\n{fitted.steps:,} steps in {fitted.minutes:.1f} minutes.")
    if fitted.scores is not None:
        terminal.say("On what was held out:")
        print_scores(terminal, fitted.scores)
    if fitted.report is not None:
        terminal.say(f"Report: {fitted.report}  (open it in a browser)")
    print_next(terminal, fitted.model, fitted.run, image, runs)


def _result_as_json(fitted: FitResult) -> dict[str, Any]:
    return {
        "model": str(fitted.model) if fitted.model else None,
        "run": str(fitted.run),
        "report": str(fitted.report) if fitted.report else None,
        "steps": fitted.steps,
        "minutes": round(fitted.minutes, 3),
        "held_out": fitted.scores.as_json() if fitted.scores else None,
    }
