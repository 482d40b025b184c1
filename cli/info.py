"""`unet3d info`: what a model is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.options import debug_option, json_option

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.serving.description import ModelDescription, TileGeometry


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
    from unet3d_cli.tables import shown

    trained = description.training
    scored = {each["name"]: each for each in (trained.get("validation") or {}).get("classes", [])}
    made = f"by keras-unet3d {description.package_version}, {description.created:%Y-%m-%d %H:%M} UTC"
    terminal.say(f"{folder}, {size / 1e6:.1f} MB, {made}")
    header = ["class", "value", *(["held-out IoU", "Dice"] if scored else [])]
    rows = [
        [
            each.name,
            str(each.value),
            *([shown(scored[each.name]["iou"]), shown(scored[each.name]["dice"])] if scored else []),
        ]
        for each in description.classes
    ]
    terminal.table(header, rows)
    for name, text in _facts(description).items():
        terminal.say(f"{name + ':':<14} {text}")


def _facts(description: ModelDescription) -> dict[str, str]:
    from unet3d_cli.tables import shown

    from keras_unet3d.volumes.axes import named

    geometry, trained = description.geometry, description.training
    unpooled = f", levels without pooling: {named(geometry.unpooled)}" if any(geometry.unpooled) else ""
    slices = ", 2D: each slice orthogonal to z is seen alone" if geometry.dimensions < 3 else ""
    facts = {
        "unlabelled": "no value" if description.unlabeled is None else str(description.unlabeled),
        "channels": ", ".join(description.channels),
        "spacing": _spacing(description),
        "images": "of any size",
        "tiles": _tiles(geometry),
        "network": f"{_members(description)}{description.parameters:,} parameters, {description.filters} filters, "
        f"depth {geometry.depth}, {'zero-padded' if geometry.padding == 'same' else 'unpadded'}{unpooled}{slices}",
        "normalised by": f"{description.normalization} ({description.statistics} statistics)"
        if description.normalization == "batch"
        else description.normalization or "nothing",
        "intensities": _intensities(description),
        "bfloat16": _agreement(description),
    }
    if "averaged" in trained:
        facts["trained"] = f"as {', '.join(each['model'] for each in trained['averaged'])}"
    elif trained:
        facts["trained"] = (
            f"{trained.get('steps', '?')} steps in {trained.get('minutes', '?')} minutes on "
            f"{_count(trained.get('labelled_voxels'))} labelled voxels of {trained.get('cases', '?')} cases"
        )
        facts["validation"] = str(trained.get("held_out", "")).removeprefix("Held out for validation: ")
        validation = trained.get("validation")
        if validation:
            mean = validation["mean"]
            facts["mean"] = f"IoU {shown(mean['iou'])}, Dice {shown(mean['dice'])} on what was held out"
        if "cross_validation" in trained:
            dice = trained["cross_validation"]["mean"]["dice"]
            spread = f"{shown(dice['mean'])} ± {shown(dice['standard_deviation'])}"
            facts["over cases"] = f"Dice {spread}, of {dice['cases']} cases that were left out"
    return facts


def _tiles(geometry: TileGeometry) -> str:
    """Which lengths the network takes."""
    from keras_unet3d.volumes.axes import AXES, named

    axes = geometry.geometry.axes
    sizes = [", ".join(str(axis.minimum + number * axis.multiple) for number in range(3)) for axis in axes]
    if len(set(axes)) == 1:
        lost = f"; {geometry.margin[0]} voxels are lost along each axis" if any(geometry.margin) else ""
        return f"of {sizes[0]}, … voxels along each axis{lost}"
    of_each = "; ".join(f"{each}, … along {axis}" for axis, each in reversed(list(zip(AXES, sizes, strict=True))))
    return f"of {of_each}" + (f"; {named(geometry.margin)} voxels are lost" if any(geometry.margin) else "")


def _intensities(description: ModelDescription) -> str:
    """What becomes of raw intensities."""
    windows = [
        f"{name} from {window.low:g} to {window.high:g}, minus {window.offset:g}, by {window.scale:g}"
        for name, window in description.intensity.windows.items()
    ]
    measured = len(windows) < len(description.channels)
    return "; ".join([*windows, *(["by " + description.intensity.rule] if measured else [])])


def _spacing(description: ModelDescription) -> str:
    from keras_unet3d.volumes.axes import named

    if not description.spacing:
        return "unknown"
    text = named(description.spacing, description.unit or "(unit unknown)")
    if not description.resampled:
        return text
    return f"expects voxels of {text} (segment resamples an image that differs, and its labels back)"


def _members(description: ModelDescription) -> str:
    return f"{description.members} networks, averaged: " if description.members > 1 else ""


def _agreement(description: ModelDescription) -> str:
    """Whether this model was seen to give the same labels in bfloat16."""
    if description.bfloat16 is None:
        return "not checked, so that --precision auto is float32"
    each = ", ".join(f"{name} {'–' if dice is None else f'{dice:.4f}'}" for name, dice in description.bfloat16.items())
    if description.bfloat16_agrees:
        return f"gives the labels of float32 (Dice between the two: {each})"
    return f"gives other labels than float32 (Dice between the two: {each}), so that --precision auto is float32"


def _count(voxels: Any) -> str:
    return f"{sum(voxels.values()):,}" if isinstance(voxels, dict) else "?"


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
