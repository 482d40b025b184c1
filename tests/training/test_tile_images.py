"""Images that are made on the device are those that the pipeline makes; everything else is the same to the last bit."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.augmentation.compiled import Room
from keras_unet3d.training import pipeline
from keras_unet3d.training.model import build_network
from keras_unet3d.training.pipeline import TrainingBatches
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.step import TrainingStep, build_optimizer
from keras_unet3d.training.tile_images import TileInputs, with_images


@pytest.fixture(scope="module")
def noise():
    """A volume of noise, labelled with two classes in two thirds of its voxels."""
    rng = np.random.default_rng(3)
    labels = rng.integers(-1, 2, (20, 18, 22)).astype(np.int16)
    image = rng.standard_normal((20, 18, 22, 2)).astype(np.float32)
    return TrainingVolume("noise", image, labels, (2.0, 1.0, 1.0))


UNPADDED = {"network.padding": "valid", "tile": "x=20 y=20 z=20"}
NO_ROOM = pytest.mark.parametrize("room", [Room(), Room(100_000, 50_000, 9)], ids=["too small", "large"])


@pytest.mark.parametrize("changes", [{}, UNPADDED], ids=["zero-padded", "unpadded"])
@NO_ROOM
def test_images_of_the_device_are_those_of_the_pipeline(resolved, noise, monkeypatch, changes, room):
    """Where there is no room, that of each sample of a batch is another."""
    monkeypatch.setattr(pipeline._Draw, "room", room)
    settings = resolved({"batch_size": 3, **changes})
    with (
        TrainingBatches(settings, [noise], (2.0, 3.0)) as there,
        TrainingBatches(settings, [noise], (2.0, 3.0), on_device=True) as here,
    ):
        for _ in range(3):
            image, *labels = next(there)
            inputs, *same_labels = next(here)
            assert isinstance(inputs, TileInputs)
            made, *_ = with_images((inputs, *labels))
            np.testing.assert_allclose(made, image, atol=1e-4)
            assert np.ptp(image) > 1
            for ours, theirs in zip(same_labels, labels, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_images_that_are_made_already_are_left_as_they_are():
    batch = tf.zeros((1, 4, 4, 4, 1)), tf.zeros((1, 4, 4, 4), tf.int32), tf.zeros((1, 4, 4, 4))
    assert all(ours is theirs for ours, theirs in zip(with_images(batch), batch, strict=True))


def test_batches_that_move_go_on_with_the_step_that_is_asked_for(resolved, noise):
    with TrainingBatches(resolved(), [noise], (2.0, 3.0)) as whole:
        expected = [next(whole)[0] for _ in range(4)]
    with TrainingBatches(resolved(), [noise], (2.0, 3.0)) as batches:
        np.testing.assert_array_equal(next(batches)[0], expected[0])
        batches.move(1, on_device=True, tile=batches.tile)
        assert batches.on_device
        for image in expected[1:3]:
            np.testing.assert_allclose(with_images(next(batches))[0], image, atol=1e-4)
        batches.move(3, on_device=False, tile=batches.tile)
        np.testing.assert_array_equal(next(batches)[0], expected[3])


@pytest.mark.parametrize("parts", [1, 2])
def test_steps_learn_the_same_and_are_traced_once_whatever_the_room(resolved, noise, monkeypatch, parts):
    """Without a room of its own, every batch has another."""
    monkeypatch.setattr(pipeline._Draw, "room", Room())
    settings = resolved({"batch_size": 2, "network.normalization": "batch"})
    model = build_network(settings, 2, 2, "float32")
    start, losses, rooms = model.get_weights(), {}, set()
    for on_device in (False, True):
        model.set_weights(start)
        step = TrainingStep(model, build_optimizer(settings.optimizer, "float32"), dice=1.0, parts=parts)
        with TrainingBatches(settings, [noise], (1.0, 2.0), on_device=on_device) as batches:
            losses[on_device] = []
            for _ in range(4):
                batch = next(batches)
                if on_device:
                    rooms.add(batch[0].resampling.image_block.shape[1])
                losses[on_device].append(float(step(batch, 0.01).loss))
        assert step._graph.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-5)
    assert len(rooms) > 1
