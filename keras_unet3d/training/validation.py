"""Validation on what training never saw: whole cases, or annotated slices."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED, Colour
from keras_unet3d.annotation.pictures import Picture, slice_panel
from keras_unet3d.inference.budget import default_budget, held_memory
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.planning import Demand, make_plan
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.results import Sink
from keras_unet3d.inference.segmentation import segment_voxels
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.metrics.precision_recall import PrecisionRecall
from keras_unet3d.network.statistics import with_current_statistics
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training.moments import MomentCollector
from keras_unet3d.training.pipeline import moment_images
from keras_unet3d.training.resolved import ResolvedSettings
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.intensity import Intensities


@dataclass(frozen=True, eq=False)
class Validation:
    """The scores of one validation.

    Attributes:
        overlaps: of the held-out voxels of each volume.
        curves: precision and recall at them, over the probability.
        first: class index ``(z, y, x)`` that was predicted for the first held-out volume, for pictures.
    """

    overlaps: tuple[Overlap, ...]
    curves: PrecisionRecall
    first: NDArray[np.integer]

    @property
    def overlap(self) -> Overlap:
        """Of all held-out voxels together."""
        return sum(self.overlaps[1:], self.overlaps[0])


class Validator:
    """Scores a model in training with the statistics that it will be used with.

    Args:
        model: as `build_network` gives it; its weights of the moment are used.
        settings: of the run.
        volumes: that are learned from.
        held_out: to score on; may be empty.
    """

    def __init__(
        self,
        model: keras.Model,
        settings: ResolvedSettings,
        volumes: Sequence[TrainingVolume],
        held_out: Sequence[TrainingVolume],
    ) -> None:
        self._model, self._settings, self._held_out = model, settings, held_out
        self._moment_images = moment_images(settings, volumes) if settings.network.normalization == "batch" else []
        self._collector = MomentCollector(model)
        self._predictor = predictor_of(model, settings)

    def collect_moments(self) -> None:
        """Set the moving statistics of batch normalisation to those of training tiles under the present weights."""
        self._collector(self._moment_images)

    def seconds_of_moments(self) -> float:
        """How long `collect_moments` takes: a batch of it is collected, once its graph is there."""
        took = 0.0
        for _ in range(2):
            start = time.monotonic()
            self._collector(self._moment_images[:1])
            took = time.monotonic() - start
        return took * len(self._moment_images)

    def scores(self) -> Validation:
        """Segment all that is held out, and score it."""
        if _current_statistics(self._settings):  # its weights are copies
            self._predictor = predictor_of(self._model, self._settings)
        return validate(self._predictor, self._held_out, self._settings.network.filters)


def predictor_of(model: keras.Model, settings: ResolvedSettings) -> NetworkPredictor:
    """A network in training as a predictor of what is normalised already.

    Args:
        model: as `build_network` gives it. Where it normalises by the statistics of a tile, its weights are copied.
        settings: of the run.
    """
    network = with_current_statistics(model) if _current_statistics(settings) else model
    as_they_are = Intensities.as_they_are(model.input_shape[-1])
    return NetworkPredictor(network, settings.network.geometry, intensities=as_they_are)


def _current_statistics(settings: ResolvedSettings) -> bool:
    return settings.network.normalization == "batch" and settings.network.statistics == "current"


def validate(predictor: Predictor, volumes: Sequence[TrainingVolume], filters: int) -> Validation:
    """Segment every held-out volume as `unet3d segment` does, and score its labelled voxels.

    Cases that are resampled are scored as they are learned from, on the working spacing.

    Args:
        predictor: the network as it is now.
        volumes: their `class_index` holds the held-out labels only; at least one.
        filters: base filters of the network, for the size of a tile.
    """
    first = None
    overlaps, curves = [], PrecisionRecall(predictor.classes)
    for volume in volumes:
        prediction = predicted(predictor, volume.image, filters, _Noted(volume.class_index, curves))
        overlaps.append(Overlap.of(volume.class_index, prediction, predictor.classes))
        first = prediction if first is None else first
    if first is None:
        raise ValueError("Validation needs a volume.")
    return Validation(tuple(overlaps), curves, first)


def predicted(
    predictor: Predictor, image: NDArray[np.float32], filters: int, probabilities: Sink
) -> NDArray[np.integer]:
    """Class index ``(z, y, x)`` of every voxel of an image ``(z, y, x, channel)``, in tiles that fit into memory.

    Args:
        predictor: the network as it is now.
        image: as the predictor takes it.
        filters: base filters of the network, for the size of a tile.
        probabilities: what they are written to.
    """
    size = NetworkSize(predictor.geometry, filters, image.shape[-1], predictor.classes)
    demand = Demand(size, whole_tiles=predictor.tile_dependent)
    plan = make_plan(image.shape, demand, default_budget(), held_memory())
    return segment_voxels(image, predictor, plan.tiles, probabilities=probabilities)


@dataclass(frozen=True, eq=False)
class _Noted:
    """Notes how probable each class is where it is labelled, and where another one is."""

    class_index: NDArray[np.int16]
    curves: PrecisionRecall

    def write(self, box: Box, voxels: NDArray[np.float32]) -> None:
        """Of the probabilities of a box."""
        self.curves.add(self.class_index[box.slices], voxels)


def slice_pictures(
    volume: TrainingVolume, prediction: NDArray[np.integer], colours: Sequence[Colour | None]
) -> dict[str, Picture]:
    """Three orthogonal slices through the middle of the labels, by name: image, truth, prediction.

    Args:
        volume: with labels.
        prediction: class index ``(z, y, x)``.
        colours: of the classes.
    """
    z, y, x = middle_of(volume.class_index != UNLABELED)
    maps = [volume.class_index, prediction]
    return {
        f"validation/{axis}": slice_panel(
            volume.image, maps, axis=axis, at=(z, y, x), spacing=volume.spacing, colours=colours
        )
        for axis in AXES
    }


def middle_of(labelled: NDArray[np.bool_]) -> Triple:
    """The median position of the labelled voxels along each axis: always a slice that has some."""
    z, y, x = (
        int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        for counts in (np.count_nonzero(labelled, axis=others) for others in ((1, 2), (0, 2), (0, 1)))
    )
    return z, y, x
