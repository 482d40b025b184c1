"""What a training will do, and what to do with its model, for people and for machines."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.api import FitPlan
    from keras_unet3d.training.settings import Settings


def print_plan(terminal: Terminal, plan: FitPlan) -> None:
    """What will be trained on, and what was decided."""
    from unet3d_cli.tables import print_summary

    for warning in plan.dataset.warnings:
        terminal.warn(str(warning))
    print_summary(terminal, plan.summary)
    for decision in plan.decisions:
        terminal.say(f"{decision}.")


def plan_as_json(plan: FitPlan) -> dict[str, Any]:
    """The same as `print_plan`, for machines."""
    return {
        "data": plan.summary.as_json(),
        "decisions": [{"setting": each.setting, "value": each.value, "reason": each.reason} for each in plan.decisions],
        "settings": plan.settings.model_dump(mode="json", exclude_none=True),
        "warnings": [str(warning) for warning in plan.dataset.warnings],
    }


def print_settings(terminal: Terminal, settings: Settings) -> None:
    """As a file for --config, alone on stdout."""
    terminal.note("Settings; save them to a file for --config:\n")
    terminal.say(settings.as_toml())


def print_next(terminal: Terminal, model: Path, run: Path, image: tuple[Path, ...], runs: Path) -> None:
    """What was made, and what to do with it."""
    terminal.say(f"Model: {model}\nRun:   {run}")
    segment = ["unet3d", "segment", ",".join(map(str, image)), "labels.nii.gz"]
    if model.parent != Path("models/unet3d"):
        segment += ["--model", str(model.parent)]
    terminal.say(f"Next:  {shlex.join(segment)}\n       {shlex.join(['tensorboard', '--logdir', str(runs)])}")
