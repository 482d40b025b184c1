"""The 3D U-Net for Keras: annotate a few slices of a volume, get every voxel segmented.

>>> import keras_unet3d as unet3d
>>> unet3d.fit("dataset")
>>> unet3d.segment("image.nii.gz", "labels.nii.gz")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_unet3d.annotation import AnnotatedSlices, Meaning, dataset_from_pairs
    from keras_unet3d.api import (
        BlockedSegmentation,
        Case,
        CaseResult,
        Check,
        CrossValidation,
        CrossValidationPlan,
        Dask,
        Demonstration,
        Experiment,
        ExperimentPlan,
        Export,
        FitPlan,
        FitResult,
        Part,
        Report,
        Segmentation,
        SegmentationPlan,
        Suggestions,
        check,
        compare,
        convert,
        cross_validate,
        demo,
        evaluate,
        evaluate_cases,
        experiment,
        export,
        fit,
        load_model,
        package,
        plan_cross_validation,
        plan_experiment,
        plan_fit,
        plan_segmentation,
        report,
        segment,
        segment_cases,
        segment_in_blocks,
        suggest,
    )
    from keras_unet3d.errors import InputError, UNet3DError, WorkError
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.postprocessing import PostProcessing
    from keras_unet3d.network.unet import build_unet3d
    from keras_unet3d.phantom import write_phantom_dataset
    from keras_unet3d.quiet import quiet_tensorflow
    from keras_unet3d.training.settings import Settings, read_settings
    from keras_unet3d.volumes import Grid, Region, Volume, read_image, read_labels, write_image, write_labels

__all__ = [
    "AnnotatedSlices",
    "BlockedSegmentation",
    "Case",
    "CaseResult",
    "Check",
    "CrossValidation",
    "CrossValidationPlan",
    "Dask",
    "Demonstration",
    "Experiment",
    "ExperimentPlan",
    "Export",
    "FitPlan",
    "FitResult",
    "Grid",
    "InputError",
    "Meaning",
    "Part",
    "PostProcessing",
    "Region",
    "Report",
    "SegmentOptions",
    "Segmentation",
    "SegmentationPlan",
    "Settings",
    "Suggestions",
    "UNet3DError",
    "Volume",
    "WorkError",
    "build_unet3d",
    "check",
    "compare",
    "convert",
    "cross_validate",
    "dataset_from_pairs",
    "demo",
    "evaluate",
    "evaluate_cases",
    "experiment",
    "export",
    "fit",
    "load_model",
    "package",
    "plan_cross_validation",
    "plan_experiment",
    "plan_fit",
    "plan_segmentation",
    "quiet_tensorflow",
    "read_image",
    "read_labels",
    "read_settings",
    "report",
    "segment",
    "segment_cases",
    "segment_in_blocks",
    "suggest",
    "write_image",
    "write_labels",
    "write_phantom_dataset",
]

_ROOMS = {
    "keras_unet3d.annotation": ("AnnotatedSlices", "Meaning", "dataset_from_pairs"),
    "keras_unet3d.api": (
        "BlockedSegmentation",
        "Case",
        "CaseResult",
        "Check",
        "CrossValidation",
        "CrossValidationPlan",
        "Dask",
        "Demonstration",
        "Experiment",
        "ExperimentPlan",
        "Export",
        "FitPlan",
        "FitResult",
        "Part",
        "Report",
        "Segmentation",
        "SegmentationPlan",
        "Suggestions",
        "check",
        "compare",
        "convert",
        "cross_validate",
        "demo",
        "evaluate",
        "evaluate_cases",
        "experiment",
        "export",
        "fit",
        "load_model",
        "package",
        "plan_cross_validation",
        "plan_experiment",
        "plan_fit",
        "plan_segmentation",
        "report",
        "segment",
        "segment_cases",
        "segment_in_blocks",
        "suggest",
    ),
    "keras_unet3d.errors": ("InputError", "UNet3DError", "WorkError"),
    "keras_unet3d.inference.options": ("SegmentOptions",),
    "keras_unet3d.inference.postprocessing": ("PostProcessing",),
    "keras_unet3d.network.unet": ("build_unet3d",),
    "keras_unet3d.phantom": ("write_phantom_dataset",),
    "keras_unet3d.quiet": ("quiet_tensorflow",),
    "keras_unet3d.training.settings": ("Settings", "read_settings"),
    "keras_unet3d.volumes": ("Grid", "Region", "Volume", "read_image", "read_labels", "write_image", "write_labels"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name's room when the name is first used, so that importing this package is instant."""
    if name == "serving":
        return import_module("keras_unet3d.serving")
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOM_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
