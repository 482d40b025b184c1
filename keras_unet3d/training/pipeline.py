"""From volumes to batches: tiles cut, deformed and varied on parallel threads, ahead of the training step."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from functools import cached_property
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet3d.augmentation.compiled import (
    Room,
    resample_labels,
    resampling_inputs,
)
from keras_unet3d.augmentation.coordinate_map import CoordinateMap
from keras_unet3d.augmentation.engines import Engine, choose_engine
from keras_unet3d.augmentation.grey import GreyInputs, apply_grey, grey_inputs, grey_inputs_spec
from keras_unet3d.augmentation.parameters import draw_grey, draw_map, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.errors import WorkError
from keras_unet3d.training.resolved import ResolvedSettings
from keras_unet3d.training.sampling import Place, Sampler, TrainingVolume
from keras_unet3d.training.tile_images import TileInputs, make_image, tile_inputs_spec
from keras_unet3d.volumes.box import Box, Triple, read_mirrored

ATTEMPTS = 8
"""How often a tile whose labels were deformed away is drawn again. The last attempt deforms nothing."""
MOMENT_BATCHES = 8
"""Batches that the moments of batch normalisation are collected over."""
MOMENT_TILES = 2
"""Tiles in each of those, at most."""
_MOMENT_STEPS, _ROOM_STEPS = 1 << 40, 1 << 41
"""Steps that no training reaches: tiles for other purposes are drawn as theirs."""
ROOM_SAMPLES = 32
"""Samples whose largest decides the room of all; a larger one, which is rare, costs a compilation of some seconds."""

Source = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[Any, tf.Tensor]]
"""From (step, index, attempt) to an image tile, or the `TileInputs` that it is made of, and its class indices."""


class TrainingBatches:
    """Endless batches, beginning with that of `first_step`; seed, step and index decide each sample.

    To be used in a ``with`` statement: threads that call Python make samples ahead, and an iterator that is thrown away
    meanwhile waits for them with the interpreter locked, forever. Leaving the statement lets them end first.

    Args:
        settings: of the run.
        volumes: held in memory once.
        class_weights: of the loss, in class order.
        first_step: steps that were done before.
        on_device: whether images are left to be made by who takes the batches (`with_images`).
        worker: which equal part of each batch is made, of `workers`.
        workers: processes that share the batches.
    """

    def __init__(
        self,
        settings: ResolvedSettings,
        volumes: Sequence[TrainingVolume],
        class_weights: Sequence[float],
        first_step: int = 0,
        *,
        on_device: bool = False,
        worker: int = 0,
        workers: int = 1,
    ) -> None:
        self._settings, self._volumes = settings, volumes
        self._draw = _Draw(settings, volumes)
        self._engine = choose_engine(settings.engine)
        self._weight_of = tf.constant([0.0, *class_weights], tf.float32)
        self._here = settings.batch_size // workers
        self._worker = worker
        with tf.device("CPU:0"):  # where the pipeline runs: it could not read a variable on a GPU
            self._closed = tf.Variable(False, trainable=False)
        self.on_device = on_device
        self._dataset = self._from(first_step)
        self._iterator: Iterator[Any] = iter(self._dataset.take(0))

    def _from(self, first_step: int) -> tf.data.Dataset:
        draw, engine, here = self._draw, self._engine, self._here
        if engine.name == "compiled":
            source = _compiled_source(draw, on_device=self.on_device)
        else:
            source = _eager_source(draw, engine)

        def sample(number: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
            image, labels = _until_labeled(source, number // here, self._worker * here + number % here)
            labels = tf.cast(labels, tf.int32)
            return image, tf.maximum(labels, 0), tf.gather(self._weight_of, labels + 1)

        threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")) or os.cpu_count() or 1
        options = tf.data.Options()
        options.deterministic = True
        options.threading.private_threadpool_size = threads
        options.autotune.enabled = False  # nothing is left to tune, and its thread is waited for, a minute at times
        samples = (
            tf.data.Dataset.range(first_step * here, np.iinfo(np.int64).max)
            .take_while(lambda _: tf.logical_not(self._closed))
            .map(tf.autograph.experimental.do_not_convert(sample), num_parallel_calls=threads)
        )
        if here == 1:  # nothing is copied
            batches = samples.map(lambda *tensors: tf.nest.map_structure(lambda values: values[None], tensors))
        elif self.on_device:  # samples in larger rooms than others are rare; what lies behind a block is not read
            batches = samples.padded_batch(here, drop_remainder=True)
        else:
            batches = samples.batch(here, drop_remainder=True)
        return batches.prefetch(2).with_options(options)

    @property
    def tile(self) -> Triple:
        """Voxels of the input along z, y, x."""
        return self._draw.tile

    def move(self, step: int, *, on_device: bool, tile: Triple) -> None:
        """Go on, within the ``with`` statement, with the batch of `step`: made elsewhere, or of other tiles.

        Args:
            step: of the next batch.
            on_device: whether images are left to be made by who takes the batches.
            tile: voxels along z, y, x.
        """
        self.__exit__()
        self._closed.assign(False)
        self.on_device = on_device
        if tile != self.tile:
            self._draw = _Draw(self._settings.model_copy(update={"tile": tile}), self._volumes)
        self._dataset = self._from(step)
        self.__enter__()

    def __enter__(self) -> Self:
        self._iterator = iter(self._dataset)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closed.assign(True)
        while True:
            try:
                next(self._iterator)
            except StopIteration:
                break
            except tf.errors.OpError:  # of one sample; others may still be in the making
                continue

    def __next__(self) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """The next batch.

        Returns:
            Image float32 ``(batch, z, y, x, channel)``, or the `TileInputs` that it is made of; class index int32
            ``(batch, z, y, x)`` (0 where unlabelled) and weight float32 ``(batch, z, y, x)`` (0 where unlabelled).

        Raises:
            WorkError: if a sample could not be made; the message says why.
        """
        try:
            image, class_index, weight = next(self._iterator)
        except tf.errors.OpError as error:
            cause = re.sub(r"{{.*?}}\s*", "", error.message).splitlines()[0].rstrip(": ")
            raise WorkError(f"A training tile could not be made ({cause}).") from error
        return image, class_index, weight


def moment_images(settings: ResolvedSettings, volumes: Sequence[TrainingVolume]) -> list[NDArray[np.float32]]:
    """Batches ``(batch, z, y, x, channel)`` of training tiles as `segment` will see them: not augmented.

    They are as large as what a step normalises together, but never more than one device holds, however many share it.
    """
    tiles = min(max(settings.batch_size // settings.accumulate, 1), MOMENT_TILES)
    draw = _Draw(settings, volumes)
    return [
        np.stack([draw.plain_image(_MOMENT_STEPS + step, index) for index in range(tiles)])
        for step in range(MOMENT_BATCHES)
    ]


class _Draw:
    """Draws samples: what is cut where, and what happens to it."""

    def __init__(self, settings: ResolvedSettings, volumes: Sequence[TrainingVolume]) -> None:
        self._settings = settings
        self._volumes = volumes
        geometry = settings.network.geometry
        self._margins = [margin // 2 for margin in geometry.margins]
        self.tile = settings.tile
        returned = geometry.output_lengths(self.tile)
        self._sampler = Sampler(volumes, returned, settings.sampling)
        self.label_crop = Box.at(self._margins, returned)
        self.channels = volumes[0].image.shape[-1]

    def sample(self, step: int, index: int, attempt: int) -> tuple[TrainingVolume, Place, CoordinateMap, GreyInputs]:
        """A volume, a place in it, where its voxels come from, and its grey values."""
        rng = sample_generator(self._settings.seed, int(step), int(index), int(attempt))
        place = self._sampler.place(rng)
        volume = self._volumes[place.volume]
        augmentation = self._settings.augmentation if attempt < ATTEMPTS - 1 else AugmentationSettings.none()
        coordinate_map = draw_map(augmentation, rng, place.labels.grown(self._margins), volume.spacing)
        return volume, place, coordinate_map, grey_inputs(draw_grey(augmentation, rng, self.channels))

    @cached_property
    def room(self) -> Room:
        """Enough for nearly every sample."""
        room = Room()
        for number in range(ROOM_SAMPLES):
            _, place, coordinate_map, _ = self.sample(_ROOM_STEPS + number, 0, 0)
            needed = Room.needed(coordinate_map, place.labels)
            room = Room(*map(max, zip(astuple(room), astuple(needed), strict=True)))
        return room

    def plain_image(self, step: int, index: int) -> NDArray[np.float32]:
        """The image of a place, as it lies in the volume."""
        place = self._sampler.place(sample_generator(self._settings.seed, step, index))
        return read_mirrored(self._volumes[place.volume].image, place.labels.grown(self._margins))


def _until_labeled(source: Source, step: tf.Tensor, index: tf.Tensor) -> tuple[Any, tf.Tensor]:
    """Draw a sample again while deformation has moved all its labels out of the tile."""

    def is_empty(attempt: tf.Tensor, _image: Any, class_index: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(attempt < ATTEMPTS, tf.reduce_all(class_index < 0))

    def again(attempt: tf.Tensor, _image: Any, _class_index: tf.Tensor) -> tuple[Any, ...]:
        return attempt + 1, *source(step, index, attempt)

    first = source(step, index, tf.constant(0, tf.int64))
    _, image, class_index = tf.while_loop(is_empty, again, (tf.constant(1, tf.int64), *first))
    return image, class_index


def _compiled_source(draw: _Draw, *, on_device: bool) -> Source:
    """Half in NumPy, which reads the volume, and half in the graph, which does the arithmetic, or that of labels."""
    specs = tile_inputs_spec(draw.tile, draw.channels)
    flat = tf.nest.flatten(specs)

    def inputs(step: int, index: int, attempt: int) -> list[Any]:
        volume, place, coordinate_map, grey = draw.sample(step, index, attempt)
        needed = Room.needed(coordinate_map, place.labels)
        arrays = resampling_inputs(
            coordinate_map, volume.image, volume.class_index, place.labels, draw.room.holding(needed)
        )
        return [*arrays, *grey]

    def labels(made_of: TileInputs) -> tf.Tensor:
        return resample_labels(made_of.resampling, draw.label_crop)

    def tile(made_of: TileInputs) -> tuple[tf.Tensor, tf.Tensor]:
        return make_image(made_of), labels(made_of)

    # XLA makes one loop of it, on the CPU, too; networks are slower by it there.
    compiled = tf.function(labels if on_device else tile, jit_compile=True, autograph=False)

    def source(step: tf.Tensor, index: tf.Tensor, attempt: tf.Tensor) -> tuple[Any, tf.Tensor]:
        made_of = tf.nest.pack_sequence_as(specs, _from_numpy(inputs, flat, step, index, attempt))
        if not on_device:
            image, class_index = compiled(made_of)
            return image, class_index
        block = made_of.resampling.label_block
        return made_of._replace(resampling=made_of.resampling._replace(label_block=block[:0])), compiled(made_of)

    return source


def _eager_source(draw: _Draw, engine: Engine) -> Source:
    """An engine that runs outside the graph."""
    image_spec = tf.TensorSpec((*draw.tile, draw.channels), tf.float32)
    grey_specs = (tf.TensorSpec(shape, dtype) for shape, dtype in grey_inputs_spec(draw.channels))
    specs = [image_spec, tf.TensorSpec(draw.label_crop.shape, tf.int16), *grey_specs]

    def inputs(step: int, index: int, attempt: int) -> list[Any]:
        volume, place, coordinate_map, grey = draw.sample(step, index, attempt)
        return [*engine.resample(volume.image, volume.class_index, coordinate_map, place.labels), *grey]

    def source(step: tf.Tensor, index: tf.Tensor, attempt: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, class_index, *grey = _from_numpy(inputs, specs, step, index, attempt)
        return apply_grey(image, *grey), class_index

    return source


def _from_numpy(
    function: Callable[..., list[Any]], specs: Sequence[tf.TensorSpec], *arguments: tf.Tensor
) -> list[tf.Tensor]:
    """Call a NumPy function from the graph and give its results the shapes that it promises."""
    types = [spec.dtype for spec in specs]
    results = tf.numpy_function(function, arguments, types, stateful=False)
    return [tf.ensure_shape(result, spec.shape) for result, spec in zip(results, specs, strict=True)]
