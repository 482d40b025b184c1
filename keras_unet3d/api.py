"""The public jobs, by name: what the command line calls, and a Python user."""

from keras_unet3d.jobs.checking import Check, check
from keras_unet3d.jobs.cross_validating import (
    CrossValidation,
    CrossValidationPlan,
    cross_validate,
    plan_cross_validation,
)
from keras_unet3d.jobs.dask_workers import Dask
from keras_unet3d.jobs.demonstrating import Demonstration, demo
from keras_unet3d.jobs.evaluating import compare, evaluate, evaluate_cases, holds_cases
from keras_unet3d.jobs.executors import Part
from keras_unet3d.jobs.experimenting import Experiment, ExperimentPlan, experiment, plan_experiment
from keras_unet3d.jobs.exporting import Export, convert, export, package
from keras_unet3d.jobs.fit_plan import FitPlan, plan_fit
from keras_unet3d.jobs.fitting import FitResult, fit
from keras_unet3d.jobs.models import DEFAULT_MODEL, load_model, load_models
from keras_unet3d.jobs.reporting import Report, report
from keras_unet3d.jobs.segmenting import Segmentation, SegmentationPlan, plan_segmentation, segment
from keras_unet3d.jobs.segmenting_blocks import BlockedSegmentation, segment_in_blocks
from keras_unet3d.jobs.segmenting_cases import Case, CaseResult, segment_cases
from keras_unet3d.jobs.suggesting import Suggestions, suggest

__all__ = [
    "DEFAULT_MODEL",
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
    "holds_cases",
    "load_model",
    "load_models",
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
]
