"""Serving: SavedModels that need none of this package's code, written, described and loaded."""

from keras_unet3d.serving.description import (
    ClassDescription,
    ModelDescription,
    TileGeometry,
    describe_classes,
    read_description,
)
from keras_unet3d.serving.export import export_model
from keras_unet3d.serving.saved_model import LoadedModel, load_model

__all__ = [
    "ClassDescription",
    "LoadedModel",
    "ModelDescription",
    "TileGeometry",
    "describe_classes",
    "export_model",
    "load_model",
    "read_description",
]
