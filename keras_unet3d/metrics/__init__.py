"""Metrics: how well a prediction agrees with a truth."""

from keras_unet3d.metrics.overlap import Overlap, confusion_matrix
from keras_unet3d.metrics.scores import ClassScore, Scores

__all__ = ["ClassScore", "Overlap", "Scores", "confusion_matrix"]
