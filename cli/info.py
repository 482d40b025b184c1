"""`unet3d info`: what a model is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import debug_option, json_option

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.serving.description import ModelDescription


@click.command("info", short_help="Say what a model is.")
@click.argument("model", type=click.Path(path_type=Path))
@json_option
@debug_option
def command(model: Path, as_json: bool) -> None:
    """Say what MODEL is: classes, channels, spacing, sizes, parameters, and how it was trained.

    MODEL is the folder of a model, or of one of its versions; nothing is loaded.

    \b
    Examples:
      unet3d info models/unet3d
      unet3d info models/unet3d/1 --json
    """
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.serving.description import read_description
    from keras_unet3d.serving.versions import version_folder

    folder = version_folder(model)
    description = read_description(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    terminal = Terminal(as_json=as_json)
    if not as_json:
        _print(terminal, folder, description, size)
    terminal.result(_as_json(folder, description, size))


def _print(terminal: Terminal, folder: Path, description: ModelDescription, size: int) -> None:
    from keras_unet3d.evaluation.tables import score_text
    from keras_unet3d.serving.facts import model_facts

    trained = description.training
    scored = {each["name"]: each for each in (trained.get("validation") or {}).get("classes", [])}
    made = f"by keras-unet3d {description.package_version}, {description.created:%Y-%m-%d %H:%M} UTC"
    terminal.say(f"{folder}, {size / 1e6:.1f} MB, {made}")
    header = ["class", "value", *(["held-out IoU", "Dice"] if scored else [])]
    rows = [
        [
            each.name,
            str(each.value),
            *([score_text(scored[each.name]["iou"]), score_text(scored[each.name]["dice"])] if scored else []),
        ]
        for each in description.classes
    ]
    terminal.table(header, rows)
    for name, text in model_facts(description).items():
        terminal.say(f"{name + ':':<14} {text}")


def _as_json(folder: Path, description: ModelDescription, size: int) -> dict[str, Any]:
    from keras_unet3d.volumes.axes import AXES

    plain = description.model_dump(mode="json")
    plain["spacing"] = dict(zip(AXES, description.spacing, strict=True)) if description.spacing else None
    plain["tile"] = dict(zip(AXES, description.tile, strict=True)) if description.tile else None
    plain["geometry"] = {
        name: dict(zip(AXES, value, strict=True)) if isinstance(value, list) else value
        for name, value in plain["geometry"].items()
    }
    return {"model": str(folder), "version": folder.resolve().name, "bytes": size, **plain}
