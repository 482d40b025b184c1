"""Validation on what training never saw: whole cases, or annotated slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.inference.memory import max_tile_voxels
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.inference.tiles import plan_tiles
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.training.sampling import TrainingVolume


@dataclass(frozen=True, eq=False)
class Validation:
    """The scores of one validation.

    Attributes:
        overlap: of all held-out voxels together.
        first: class index ``(z, y, x)`` that was predicted for the first held-out volume, for pictures.
    """

    overlap: Overlap
    first: NDArray[np.integer]


def validate(predictor: Predictor, volumes: Sequence[TrainingVolume], filters: int) -> Validation:
    """Segment every held-out volume as `unet3d segment` does, and score its labelled voxels.

    Args:
        predictor: the network as it is now.
        volumes: their `class_index` holds the held-out labels only; at least one.
        filters: base filters of the network, for the size of a tile.
    """
    first = None
    overlap = Overlap.none(predictor.classes)
    for volume in volumes:
        plan = plan_tiles(volume.image.shape, predictor.geometry, max_tile_voxels(filters))
        prediction = segment_voxels(volume.image, predictor, plan)
        overlap += Overlap.of(volume.class_index, prediction, predictor.classes)
        first = prediction if first is None else first
    if first is None:
        raise ValueError("Validation needs a volume.")
    return Validation(overlap, first)
