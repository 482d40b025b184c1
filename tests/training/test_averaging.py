"""What is validated are averages; what learns on are the weights themselves."""

import keras
import numpy as np
import pytest

from keras_unet3d.training.averaging import averaged_weights
from keras_unet3d.training.settings import OptimizerSettings
from keras_unet3d.training.step import build_optimizer


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_average_is_there_within_the_block_only(precision):
    """Gradients of 1 at a rate of 1: the weight is 0, −1, −2, −3; its average begins with −1."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    settings = OptimizerSettings(name="sgd", learning_rate=1.0, momentum=0.0, average=0.75)
    optimizer = build_optimizer(settings, precision)
    optimizer.build(model.trainable_variables)
    for _ in range(3):
        optimizer.apply([optimizer.scale_loss(np.ones((1, 1), np.float32))], model.trainable_variables)
    kernel = model.trainable_variables[0]
    with averaged_weights(model, optimizer):
        np.testing.assert_allclose(kernel, 0.75 * (0.75 * -1 + 0.25 * -2) + 0.25 * -3, rtol=1e-6)
    np.testing.assert_array_equal(kernel, -3)


def test_without_an_average_nothing_changes():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer = build_optimizer(OptimizerSettings(learning_rate=1.0), "float32")
    optimizer.build(model.trainable_variables)
    before = model.get_weights()
    with averaged_weights(model, optimizer):
        for value, other in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(value, other)
