"""Serving: SavedModels that need none of this package's code, written, described, loaded, and called on a server."""

from keras_unet3d.serving.access import Access
from keras_unet3d.serving.client import Client
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
    "Access",
    "ClassDescription",
    "Client",
    "LoadedModel",
    "ModelDescription",
    "TileGeometry",
    "describe_classes",
    "export_model",
    "load_model",
    "read_description",
]
