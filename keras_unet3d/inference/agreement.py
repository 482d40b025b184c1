"""Whether a model gives the same labels in bfloat16 as in float32, seen on volumes that it knows."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.inference.devices import devices, has_bfloat16
from keras_unet3d.inference.ensemble import Ensemble
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.results import HeldVoxels, Results, class_dtype
from keras_unet3d.inference.segmentation import TileWork
from keras_unet3d.inference.tiles import TilePlan, one_tile
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.network.work import NetworkSize, Precision
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.intensity import Intensities

FLOP = 2e12
"""Operations to spend in each precision: four tiles of the paper's size through the paper's network."""

VOLUMES = 4


def precision_agreement(
    networks: Sequence[Any],
    size: NetworkSize,
    volumes: Sequence[tuple[NDArray[Any], NDArray[np.integer]]],
    names: Sequence[str],
) -> dict[str, float | None] | None:
    """Dice between the labels of the two precisions for each class, over parts of a few volumes.

    Args:
        networks: Keras models, spatial sizes None; the probabilities of several are averaged.
        size: of each.
        volumes: normalised image ``(z, y, x, channel)`` and class index ``(z, y, x)``, `UNLABELED` where there is no
            label.
        names: of the classes.

    Returns:
        By name; None for a class that neither precision gives. None as a whole where no device computes in bfloat16.
    """
    if not has_bfloat16(devices()):
        return None
    as_they_are = Intensities.as_they_are(size.channels)
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    predictors = [_predictor(networks, size, each, as_they_are) for each in precisions]
    overlap = Overlap.none(len(names))
    chosen = volumes[:: max(len(volumes) // VOLUMES, 1)][:VOLUMES]
    for (image, class_index), of_class in zip(chosen, cycle(range(len(names)))):
        box = _part(class_index, of_class, size, FLOP / len(chosen) / len(networks))
        part, intensity = image[box.slices], as_they_are.of(image)
        plan = one_tile(box.shape, size.geometry)
        if not predictors[0].tile_dependent:
            plan = TilePlan(plan.axes, size.geometry.coarsest)
        exact, rounded = (_classes(part, predictor, plan, intensity) for predictor in predictors)
        overlap += Overlap.of(exact.astype(np.int16), rounded, len(names))
    return {name: None if np.isnan(dice) else float(dice) for name, dice in zip(names, overlap.dice, strict=True)}


def _predictor(networks: Sequence[Any], size: NetworkSize, precision: Precision, intensities: Intensities) -> Predictor:
    members = [
        NetworkPredictor(network, size.geometry, precision=precision, intensities=intensities) for network in networks
    ]
    return members[0] if len(members) == 1 else Ensemble(members)


def _classes(image: NDArray[Any], predictor: Predictor, plan: TilePlan, intensity: NDArray[np.float32]) -> NDArray[Any]:
    classes = np.empty(image.shape[:3], class_dtype(predictor.classes))
    TileWork(image, plan, intensity, Results(HeldVoxels(classes)), lambda *_: None).run([predictor])
    return classes


def _part(class_index: NDArray[np.integer], of_class: int, size: NetworkSize, flop: float) -> Box:
    """A box around a voxel of a class, or of any label, whose tile takes no more operations, if it can."""
    geometry = size.geometry
    lengths = list(class_index.shape)

    def tile() -> tuple[int, int, int]:
        z, y, x = (axis.input_length(length) for axis, length in zip(geometry.axes, lengths, strict=True))
        return z, y, x

    while float(size.flop(tile())) > flop and max(lengths) > geometry.coarsest:
        longest = lengths.index(max(lengths))
        lengths[longest] -= geometry.coarsest
    found = np.flatnonzero(class_index == of_class)
    found = found if len(found) else np.flatnonzero(class_index != UNLABELED)
    middle = np.unravel_index(found[len(found) // 2] if len(found) else 0, class_index.shape)
    start = [
        min(max(int(at) - length // 2, 0), whole - length)
        for at, length, whole in zip(middle, lengths, class_index.shape, strict=True)
    ]
    return Box.at(start, lengths)
