"""From a raw volume to a class for every voxel, tile by tile."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import read_mirrored

Progress = Callable[[int, int], None]
"""Called with the voxels written so far and those of the whole volume."""


def segment_voxels(
    image: NDArray[Any],
    predictor: Predictor,
    plan: TilePlan,
    *,
    progress: Progress | None = None,
    probabilities: NDArray[np.float32] | None = None,
) -> NDArray[Any]:
    """Give every voxel of a volume its most probable class.

    The volume is read as if mirrored about its border voxels, and the result does not depend on where the tiles lie
    (with statistics that do not depend on the tile). Only one tile of probabilities is held at a time.

    Args:
        image: raw ``(z, y, x, channel)``, any number type, any spatial size.
        predictor: gives class probabilities for raw tiles.
        plan: for this volume and the predictor's geometry.
        progress: told after every tile.
        probabilities: an array ``(z, y, x, class)`` to write them into, if they are wanted.

    Returns:
        Class indices ``(z, y, x)``: uint8, uint16 above 256 classes.

    Raises:
        ValueError: if the plan is for another volume or another geometry.

    Warns:
        UserWarning: if the predictor's statistics are those of a tile and the plan has several.
    """
    if plan.volume != image.shape[:3] or plan.geometry != predictor.geometry:
        raise ValueError(
            f"Expected a plan for {named(image.shape[:3])} and {predictor.geometry}. "
            f"Received: {named(plan.volume)}, {plan.geometry}"
        )
    if predictor.tile_dependent and len(plan) > 1:
        warnings.warn(tiles_matter(plan), stacklevel=2)
    intensity = predictor.intensity(image)[None]
    classes = np.empty(image.shape[:3], dtype=np.uint8 if predictor.classes <= 256 else np.uint16)
    written = 0
    for tile in plan:
        raw = read_mirrored(image, tile.read)[None].astype(np.float32, copy=False)
        kept = predictor.probabilities(raw, intensity)[0][tile.crop.slices]
        classes[tile.write.slices] = kept.argmax(axis=-1)
        if probabilities is not None:
            probabilities[tile.write.slices] = kept
        if progress is not None:
            written += classes[tile.write.slices].size
            progress(written, classes.size)
    return classes


def tiles_matter(plan: TilePlan) -> str:
    """What to tell a user whose model normalises by the statistics of each tile, where there are several."""
    return (
        f"This model normalises by the statistics of each tile, and the volume takes {len(plan)} of them "
        f"({named(plan.counts)}): the labels depend on where the tiles lie, and seams are possible. None arise with "
        f"memory for the volume in one tile, or with a model of moving statistics."
    )
