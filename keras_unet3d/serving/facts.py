"""What a model is, in words."""

from typing import Any

from keras_unet3d.serving.description import ModelDescription, TileGeometry
from keras_unet3d.volumes.axes import AXES, named


def model_facts(description: ModelDescription) -> dict[str, str]:
    """What a model is and how it was trained, in words by what they are about."""
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
            facts["mean"] = f"IoU {_score(mean['iou'])}, Dice {_score(mean['dice'])} on what was held out"
        if "cross_validation" in trained:
            dice = trained["cross_validation"]["mean"]["dice"]
            spread = f"{_score(dice['mean'])} ± {_score(dice['standard_deviation'])}"
            facts["over cases"] = f"Dice {spread}, of {dice['cases']} cases that were left out"
    return facts


def _tiles(geometry: TileGeometry) -> str:
    """Which lengths the network takes."""
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


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"
