"""Images of augmented tiles: made in the pipeline, or of its `TileInputs` on the device that learns from them."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import tensorflow as tf

from keras_unet3d.augmentation.compiled import ResamplingInputs, resample_image, resampling_inputs_spec
from keras_unet3d.augmentation.grey import GreyInputs, apply_grey, grey_inputs_spec
from keras_unet3d.errors import WorkError
from keras_unet3d.volumes.box import Triple


class ImagesError(WorkError):
    """The device cannot make the images of tiles: XLA does not work there, or memory does not suffice."""


class TileInputs(NamedTuple):
    """What the image of a tile is made of; in a batch every tensor has one more axis in front."""

    resampling: ResamplingInputs
    grey: GreyInputs


def tile_inputs_spec(tile: Triple, channels: int) -> TileInputs:
    """Of one tile: the shape and type of each tensor."""
    resampling, grey = resampling_inputs_spec(tile, channels), grey_inputs_spec(channels)
    return TileInputs(
        ResamplingInputs(*(tf.TensorSpec(shape, dtype) for shape, dtype in resampling)),
        GreyInputs(*(tf.TensorSpec(shape, dtype) for shape, dtype in grey)),
    )


def make_image(inputs: TileInputs) -> Any:
    """The image of one tile, float32 ``(z, y, x, channel)``."""
    return apply_grey(resample_image(inputs.resampling), *inputs.grey)


def with_images(batch: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The batch with images, where it has `TileInputs` in their place; they are made on the current device.

    This is no part of the step's graph: XLA compiles it, as it must not compile convolutions, also where a strategy
    runs the step. The step takes images of one size: a room that has grown is compiled for here, and traced nowhere.

    Args:
        batch: images or `TileInputs`, class index and weight.

    Returns:
        Images float32 ``(batch, z, y, x, channel)``, class index and weight.

    Raises:
        ImagesError: if the device cannot make them.
    """
    images, class_index, weight = batch
    if isinstance(images, TileInputs):
        block, splines = images.resampling.image_block, images.resampling[6:9]
        z, y, x = (spline.shape[1] for spline in splines)
        try:
            images = _image_maker(block.shape[0], (z, y, x), block.shape[-1])(images)
        except tf.errors.OpError as error:
            cause = error.message.splitlines()[0]
            raise ImagesError(
                f"The device cannot make the images of tiles: {cause}. Train with --augment-on cpu."
            ) from error
    return images, class_index, weight


@cache
def _image_maker(tiles: int, tile: Triple, channels: int) -> Callable[[TileInputs], tf.Tensor]:
    of_one = tile_inputs_spec(tile, channels)
    spec = tf.nest.map_structure(lambda each: tf.TensorSpec([tiles, *each.shape], each.dtype), of_one)
    image = tf.TensorSpec([*tile, channels], tf.float32)

    def images(inputs: TileInputs) -> tf.Tensor:
        return tf.map_fn(make_image, inputs, fn_output_signature=image)

    made: Callable[[TileInputs], tf.Tensor] = tf.function(
        images, input_signature=[spec], jit_compile=True, autograph=False
    )
    return made
