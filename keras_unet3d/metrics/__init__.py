"""Metrics: how well a prediction agrees with a truth."""

from keras_unet3d.metrics.case_scores import CaseScores, ScoreTable
from keras_unet3d.metrics.measures import OVERLAP_MEASURES, SURFACE_MEASURES, Measure
from keras_unet3d.metrics.overlap import Overlap, confusion_matrix
from keras_unet3d.metrics.paired import PairedDifference, PairedTable
from keras_unet3d.metrics.ruler import Ruler
from keras_unet3d.metrics.scores import ClassScore, Scores
from keras_unet3d.metrics.spread import Spread
from keras_unet3d.metrics.surface import SurfaceDistances, Surfaces

__all__ = [
    "OVERLAP_MEASURES",
    "SURFACE_MEASURES",
    "CaseScores",
    "ClassScore",
    "Measure",
    "Overlap",
    "PairedDifference",
    "PairedTable",
    "Ruler",
    "ScoreTable",
    "Scores",
    "Spread",
    "SurfaceDistances",
    "Surfaces",
    "confusion_matrix",
]
