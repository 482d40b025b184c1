"""Loading models: one, or several whose probabilities are averaged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import ModelDescription, read_description

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.serving.saved_model import LoadedModel
    from keras_unet3d.volumes.spacing import Spacing

PathLike = str | Path
DEFAULT_MODEL = "models/unet3d"
Models = Any
"""A model's folder, a loaded model, or several of them."""


def load_model(path: PathLike = DEFAULT_MODEL) -> LoadedModel:
    """Load an exported model, the newest version unless one is named.

    Raises:
        InputError: if it is no model of ours, or not safe to load.
    """
    from keras_unet3d.serving.saved_model import load_model as load

    return load(path)


def load_models(paths: Sequence[PathLike]) -> list[LoadedModel]:
    """Load models whose probabilities can be averaged.

    Raises:
        InputError: as `load_model`, and if their classes, channels, tile geometry or working spacing differ; none is
            loaded then.
    """
    described_models(list(paths))
    return [load_model(path) for path in paths]


def described_models(model: Models) -> list[tuple[PathLike | LoadedModel, ModelDescription]]:
    """Models with their descriptions, checked to be of the same classes, channels, geometry and working spacing."""
    models = list(model) if isinstance(model, list | tuple) else [model]
    if not models:
        raise InputError("Expected at least one model. Received: none")
    described = [
        (each, read_description(each) if isinstance(each, str | Path) else each.description) for each in models
    ]
    (name, first), *others = described
    for other_name, other in others:
        for what in ("classes", "channels", "geometry"):
            if getattr(other, what) != getattr(first, what):
                raise InputError(
                    f"{name_of(other_name)}: its {what} differ from those of {name_of(name)}. Only models of the "
                    f"same classes, channels and tile geometry can be averaged."
                )
        _check_spacing(name_of(name), first.working_spacing, name_of(other_name), other.working_spacing)
    return described


def _check_spacing(name: str, spacing: Spacing | None, other_name: str, other: Spacing | None) -> None:
    if (spacing is None) != (other is None) or (spacing and other and not spacing.is_same(other)):
        mine, theirs = (f"voxels of {each}" if each else "voxels as they are" for each in (spacing, other))
        raise InputError(
            f"{other_name}: expects {theirs}, and {name} {mine}. Only models of the same working spacing can be "
            f"averaged: train them with the same working_spacing."
        )


def name_of(model: PathLike | LoadedModel) -> str:
    """The folder it was loaded from, or is to be."""
    return str(model if isinstance(model, str | Path) else model.path)
