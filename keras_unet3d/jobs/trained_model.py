"""What was trained becomes a model: described, compared in both precisions, exported, named to TensorFlow Serving."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from keras_unet3d.errors import UNet3DError
from keras_unet3d.jobs.exporting import serving_sentence
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes
from keras_unet3d.serving.served_folder import name_to_server
from keras_unet3d.volumes.spacing import median_spacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from keras_unet3d.jobs.fit_plan import FitPlan
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.sampling import TrainingVolume

MOST_DESCRIBED = 50
"""Cases that a model describes, of those that it was trained on."""


def facts_of_data(plan: FitPlan) -> dict[str, Any]:
    """What a model says of the data that it was trained on, and of what was decided from them."""
    return {
        "data": {"rows": plan.summary.as_json()["rows"][:MOST_DESCRIBED]},
        "decisions": [asdict(decision) for decision in plan.decisions],
    }


def describe(plan: FitPlan, report: dict[str, Any]) -> ModelDescription:
    """What is trained by a plan, with what the training reports of itself."""
    settings, scheme = plan.settings, plan.dataset.scheme
    network, working = settings.network, settings.resampled_to
    spacing, unit = median_spacing([case.image.grid for case in plan.dataset])
    if working is not None:
        spacing, unit = working.edges, working.unit
    return ModelDescription.model_validate(
        {
            "classes": describe_classes(scheme),
            "unlabeled": scheme.unlabeled,
            "channels": plan.dataset.channel_names,
            "normalization": None if network.normalization == "none" else network.normalization,
            "filters": network.filters,
            "geometry": TileGeometry.of(network.geometry),
            "statistics": network.statistics,
            "spacing": spacing,
            "unit": unit,
            "resampled": working is not None,
            "mirrored_axes": settings.augmentation.mirror,
            "intensity": {"windows": settings.intensity.resolved_windows},
            "settings": settings.model_dump(mode="json", exclude_none=True),
            "training": report,
        }
    )


def export_trained(
    networks: Sequence[Any], plan: FitPlan, report: dict[str, Any], volumes: Sequence[TrainingVolume], folder: Path
) -> Path:
    """Export networks that were trained by one plan as the next version of a model, the mean of their probabilities.

    Args:
        networks: in float32; at least one.
        plan: of each.
        report: of the training.
        volumes: to compare the labels of both precisions on; none compares nothing.
        folder: of the model.

    Raises:
        WorkError: if writing fails.
    """
    from keras_unet3d.serving.export import export_model

    return export_model(networks, folder, _with_agreement(describe(plan, report), networks, volumes))


def name_trained(version: Path, listener: Listener) -> None:
    """Name an exported version to TensorFlow Serving; the model is there, whatever becomes of that."""
    try:
        listener.say(serving_sentence(version, name_to_server(version)))
    except UNet3DError as error:
        listener.say(f"TensorFlow Serving is not told of it: {error}")


def _with_agreement(
    description: ModelDescription, models: Sequence[Any], volumes: Sequence[TrainingVolume]
) -> ModelDescription:
    """See on training volumes whether bfloat16 gives the labels of float32."""
    if not volumes:
        return description
    from keras_unet3d.inference.agreement import precision_agreement
    from keras_unet3d.network.statistics import with_current_statistics

    networks = [with_current_statistics(each) if description.statistics == "current" else each for each in models]
    names = [each.name for each in description.classes]
    seen = [(volume.image, volume.class_index) for volume in volumes]
    return description.model_copy(update={"bfloat16": precision_agreement(networks, description.size, seen, names)})
