"""`export_ensemble`: several models as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keras_unet3d.errors import InputError
from keras_unet3d.jobs.models import PathLike, described_models, load_model, name_of
from keras_unet3d.volumes.outputs import check_output_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.serving.description import ModelDescription
    from keras_unet3d.serving.saved_model import LoadedModel

OF_EACH = {"spacing", "unit", "mirrored_axes", "settings", "training", "bfloat16"}
"""What may differ between models that become one: how each was trained, and what was seen of it. A spacing that they
expect is compared where they are read."""
OF_EXPORT = {"members", "parameters", "tile", "created", "package_version", "format"}
"""What an export fills in."""


def export_ensemble(models: Sequence[PathLike | LoadedModel], folder: PathLike) -> Path:
    """Export several models as one, whose probabilities are the mean of those of all their networks.

    It takes the place of all of them, and as much time and disk as they do together.

    Args:
        models: folders, with or without the version, or loaded models; two at least.
        folder: of the new model, such as ``models/ensemble``; the next version is written.

    Returns:
        The folder of the new version.

    Raises:
        InputError: if one is no model, or they differ in more than their training.
        WorkError: if writing fails.
    """
    from keras_unet3d.serving.export import export_model

    described = described_models(list(models))
    if len(described) < 2:
        raise InputError("Expected two models or more, whose probabilities are averaged. Received: one")
    description = _common([(name_of(model), description) for model, description in described])
    check_output_folder(Path(folder))
    networks = [
        network
        for model, _ in described
        for network in (load_model(model) if isinstance(model, str | Path) else model).networks
    ]
    return export_model(networks, folder, description)


def _common(named: Sequence[tuple[str, ModelDescription]]) -> ModelDescription:
    """What all models are together.

    Raises:
        InputError: if they are not of one kind.
    """
    (name, first), *others = named
    for other_name, other in others:
        for field in type(first).model_fields:
            if field not in OF_EACH | OF_EXPORT and getattr(first, field) != getattr(other, field):
                raise InputError(
                    f"{other_name}: its {field} is {getattr(other, field)}, that of {name} {getattr(first, field)}. "
                    "Only models that differ in nothing but their training can become one: train the second with the "
                    "settings.toml of the first's run as --config. `unet3d segment` averages any with several --model."
                )
    every = [description for _, description in named]
    same_space = first.resampled or all((each.spacing, each.unit) == (first.spacing, first.unit) for each in every)
    axes = tuple(axis for axis in first.mirrored_axes if all(axis in each.mirrored_axes for each in every))
    kept = {field: getattr(first, field) for field in type(first).model_fields if field not in OF_EXPORT}
    of_all = {
        "spacing": first.spacing if same_space else None,
        "unit": first.unit if same_space else "",
        "mirrored_axes": axes,
        "settings": first.settings if all(each.settings == first.settings for each in every) else {},
        "training": {"averaged": [{"model": name, **each.training} for name, each in named]},
        "bfloat16": _agreement(every),
    }
    return type(first)(**(kept | of_all))


def _agreement(every: Sequence[ModelDescription]) -> dict[str, float | None] | None:
    """The worst of all, by class; unknown where it is unknown of one."""
    seen = [each.bfloat16 for each in every if each.bfloat16 is not None]
    if len(seen) < len(every):
        return None
    return {name: min((dice for each in seen if (dice := each[name]) is not None), default=None) for name in seen[0]}
