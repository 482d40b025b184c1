import keras
import numpy as np
import pytest

from keras_unet3d.augmentation.compiled import (
    CompiledEngine,
    ResamplingInputs,
    Room,
    resample_block,
    resampling_inputs,
    resampling_inputs_spec,
)
from keras_unet3d.augmentation.parameters import draw_map, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.box import Box

TILE_SHAPE = (20, 24, 28)
LABEL_CROP = Box((4, 4, 4), (16, 20, 24))


@pytest.fixture
def samples(volume):
    """Inputs of three samples, whose blocks differ in shape, and their tiles by the eager engine."""
    image, class_index = volume
    made = []
    for index in range(3):
        tile = Box.at((10 * index - 5, 12, 14), TILE_SHAPE)
        drawn = draw_map(AugmentationSettings(), sample_generator(1, 0, index), tile, (2.0, 1.0, 1.0))
        label_tile = LABEL_CROP.shifted(tile.start)
        inputs = resampling_inputs(drawn, image, class_index, label_tile)
        made.append((inputs, CompiledEngine().resample(image, class_index, drawn, label_tile)))
    assert len({inputs.image_block.shape for inputs, _ in made}) > 1
    return made


def test_the_inputs_are_as_specified(samples):
    for inputs, _ in samples:
        for array, (shape, dtype) in zip(inputs, resampling_inputs_spec(TILE_SHAPE, channels=2), strict=True):
            assert array.dtype == dtype
            assert len(array.shape) == len(shape)
            assert all(fixed in (None, length) for fixed, length in zip(shape, array.shape, strict=True))


def test_what_lies_behind_the_blocks_does_not_matter(volume):
    """A room for larger blocks and more control points; behind the blocks, numbers that would show."""
    image, class_index = volume
    tile = Box.at((-5, 12, 14), TILE_SHAPE)
    drawn = draw_map(AugmentationSettings(), sample_generator(1, 0, 0), tile, (2.0, 1.0, 1.0))
    label_tile = LABEL_CROP.shifted(tile.start)
    needed = Room.needed(drawn, label_tile)
    inputs = resampling_inputs(
        drawn,
        image,
        class_index,
        label_tile,
        Room(2 * needed.image_voxels, 3 * needed.label_voxels, needed.control_points + 3),
    )
    inputs.image_block[needed.image_voxels :] = 1e9
    inputs.label_block[needed.label_voxels :] = 999
    found, labels = resample_block(ResamplingInputs(*map(keras.ops.convert_to_tensor, inputs)), LABEL_CROP)
    expected, expected_labels = CompiledEngine().resample(image, class_index, drawn, label_tile)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), expected)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(labels), expected_labels)


def test_room_grows_in_steps_so_that_little_is_compiled_anew():
    room = Room(1000, 100, 6)
    assert room.holding(Room(900, 100, 5)) == room
    assert room.holding(Room(1100, 250, 8)) == Room(1301, 290, 8)
    assert Room().holding(Room(7, 8, 9)) == Room(7, 8, 9)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the backend is not TensorFlow")
def test_in_a_tf_data_pipeline_it_is_the_eager_result_at_static_shape(samples):
    import tensorflow as tf

    spec = resampling_inputs_spec(TILE_SHAPE, channels=2)

    def read(index):
        arrays = tf.numpy_function(lambda i: list(samples[i][0]), [index], [dtype for _, dtype in spec])
        return [tf.ensure_shape(array, shape) for array, (shape, _) in zip(arrays, spec, strict=True)]

    tiles = tf.data.Dataset.range(3).map(read, num_parallel_calls=2)
    tiles = tiles.map(lambda *arrays: resample_block(ResamplingInputs(*arrays), LABEL_CROP), num_parallel_calls=2)
    assert tiles.element_spec[0].shape == (*TILE_SHAPE, 2)
    assert tiles.element_spec[1].shape == LABEL_CROP.shape
    for (tile, labels), (_, (expected, expected_labels)) in zip(tiles.as_numpy_iterator(), samples, strict=True):
        np.testing.assert_allclose(tile, expected, atol=1e-6)
        np.testing.assert_array_equal(labels, expected_labels)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the backend is not JAX")
def test_under_jax_jit_it_is_the_eager_result(samples):
    import jax

    jitted = jax.jit(resample_block, static_argnames="label_crop")
    for inputs, (expected, expected_labels) in samples:
        tile, labels = jitted(inputs, label_crop=LABEL_CROP)
        np.testing.assert_allclose(tile, expected, atol=1e-5)
        assert (np.asarray(labels) == expected_labels).mean() > 0.999
