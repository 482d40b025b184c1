"""Metrics: how well a prediction agrees with a truth."""

from keras_unet3d.metrics.case_scores import CaseScores, ScoreTable, Spread
from keras_unet3d.metrics.overlap import Overlap, confusion_matrix
from keras_unet3d.metrics.scores import ClassScore, Scores

__all__ = ["CaseScores", "ClassScore", "Overlap", "ScoreTable", "Scores", "Spread", "confusion_matrix"]
