"""Annotation: datasets and their check, label values and class indices, weights, annotated slices."""

from keras_unet3d.annotation.cases import AnnotatedCase, AnnotatedDataset, load_case, load_cases
from keras_unet3d.annotation.dataset import Case, Dataset, dataset_from_pairs
from keras_unet3d.annotation.dataset_folder import read_dataset
from keras_unet3d.annotation.examination import check_dataset
from keras_unet3d.annotation.folds import SliceFold, case_folds, hold_out, slice_folds
from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.annotation.slices import (
    AnnotatedSlices,
    few_painted_slices,
    find_annotated_slices,
    restrict_background,
    slices_by_case,
)
from keras_unet3d.annotation.summary import CaseSummary, ClassIntensity, TrainingSummary, summarize
from keras_unet3d.annotation.weights import class_counts, class_weights, given_class_weights

__all__ = [
    "UNLABELED",
    "AnnotatedCase",
    "AnnotatedDataset",
    "AnnotatedSlices",
    "Case",
    "CaseSummary",
    "ClassIntensity",
    "Dataset",
    "LabelScheme",
    "Meaning",
    "Problem",
    "SliceFold",
    "TrainingSummary",
    "case_folds",
    "check_dataset",
    "class_counts",
    "class_weights",
    "dataset_from_pairs",
    "few_painted_slices",
    "find_annotated_slices",
    "given_class_weights",
    "hold_out",
    "load_case",
    "load_cases",
    "read_dataset",
    "restrict_background",
    "slice_folds",
    "slices_by_case",
    "summarize",
]
