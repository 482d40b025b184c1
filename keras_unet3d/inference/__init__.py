"""Inference: tile plans, and tiled prediction with any predictor."""

from keras_unet3d.inference.keras_predictor import KerasPredictor
from keras_unet3d.inference.memory import max_tile_voxels
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.tiles import Tile, TilePlan, one_tile, plan_tiles

__all__ = [
    "KerasPredictor",
    "Predictor",
    "Tile",
    "TilePlan",
    "max_tile_voxels",
    "one_tile",
    "plan_tiles",
    "segment_voxels",
]
