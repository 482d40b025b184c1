"""Less memory, the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.training.forward import training_forward
from keras_unet3d.training.normalization import for_training


def gradients_of(model, forward, image):
    """Logits, and the gradients of a sum of them with random factors, from one graph."""

    @tf.function
    def run(image):
        with tf.GradientTape() as tape:
            logits = forward(image)
            rng = np.random.default_rng(2)
            loss = tf.reduce_sum(logits * rng.standard_normal(logits.shape, np.float32))
        return logits, tape.gradient(loss, model.trainable_variables)

    return run(tf.constant(image))


NETWORKS = {
    "unpadded": ({"padding": "valid"}, (1, 92, 92, 92, 2)),
    "unpadded, depth 1, uneven": ({"padding": "valid", "depth": 1}, (2, 20, 18, 24, 2)),
    "unpadded, uneven pooling": ({"padding": "valid", "depth": 2, "unpooled": (2, 1, 0)}, (1, 22, 28, 48, 2)),
    "unpadded, in two dimensions": ({"padding": "valid", "depth": 1, "dimensions": 2}, (1, 2, 20, 28, 2)),
    "zero-padded": ({"padding": "same", "depth": 2}, (2, 8, 12, 16, 2)),
    "instance": ({"padding": "same", "depth": 2, "normalization": "instance"}, (2, 8, 12, 16, 2)),
    "none": ({"padding": "same", "depth": 1, "normalization": None}, (1, 8, 12, 16, 2)),
}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("case", NETWORKS)
def test_logits_and_gradients_are_those_of_the_model(case, recompute):
    options, shape = NETWORKS[case]
    model = for_training(build_unet3d((None, None, None, 2), 3, filters=4, seed=4, **options))
    image = np.random.default_rng(1).normal(3, 2, shape).astype(np.float32)
    logits, gradients = gradients_of(model, lambda image: model(image, training=True), image)
    ours, our_gradients = gradients_of(model, training_forward(model, recompute=recompute), image)
    np.testing.assert_allclose(ours, logits, atol=1e-5 * np.abs(logits).max())
    largest = max(np.abs(each).max() for each in gradients)
    for variable, a, b in zip(model.trainable_variables, gradients, our_gradients, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5 * largest, err_msg=variable.path)


def operations(model, recompute, size=16):
    """The convolutions that a step needs, by what is left of its graph."""
    forward = training_forward(model, recompute=recompute)

    @tf.function
    def run(image):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(forward(image) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    graph = run.get_concrete_function(tf.TensorSpec((1, size, size, size, 2))).graph
    needed, seen = [each.op for each in graph.outputs], set()
    while needed:
        operation = needed.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            needed += [*operation.control_inputs, *(each.op for each in operation.inputs)]
    return [graph.get_operation_by_name(name).type for name in seen]


def test_gradients_of_skips_make_nothing_of_the_size_of_their_level():
    model = for_training(build_unet3d((None, None, None, 2), 3, filters=4, depth=2))
    for recompute in (False, True):
        types = operations(model, recompute, 52)
        assert types.count("TensorStridedSliceUpdate") == 2  # one for each skip
        assert not {"StridedSliceGrad", "Pad", "PadV2"} & set(types)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_in_bfloat16_are_those_of_the_model(recompute):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = for_training(build_unet3d((None, None, None, 2), 3, filters=4, depth=1, seed=4))
    finally:
        keras.config.set_dtype_policy("float32")
    image = np.random.default_rng(1).normal(size=(1, 20, 20, 20, 2)).astype(np.float32)
    _, gradients = gradients_of(model, lambda image: model(image, training=True), image)
    _, ours = gradients_of(model, training_forward(model, recompute=recompute), image)
    for a, b in zip(gradients, ours, strict=True):
        assert np.linalg.norm(a - b) <= 0.02 * max(np.linalg.norm(a), 1.0)


def test_convolutions_are_computed_twice_but_for_the_last_level():
    """Its gradients are due at once; and behind the last convolution of a level nothing needs it again."""
    model = for_training(build_unet3d((None, None, None, 2), 3, filters=4, depth=1, padding="same"))
    once, again = (operations(model, recompute).count("Conv3D") for recompute in (False, True))
    assert once == 7 + 1  # two on each of three levels, the logits, and the gradient of the transposed convolution
    assert again == once + 4
