"""Inference: tile plans under a memory budget, and tiled prediction with any predictor."""

from keras_unet3d.inference.planning import Demand, Plan, make_plan
from keras_unet3d.inference.predictor import Predictor, TileStream
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.tiles import Tile, TilePlan, one_tile

__all__ = [
    "Demand",
    "Plan",
    "Predictor",
    "Tile",
    "TilePlan",
    "TileStream",
    "make_plan",
    "one_tile",
    "segment_voxels",
]
