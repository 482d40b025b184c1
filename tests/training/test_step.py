"""One step against an update computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.training.model import build_network
from keras_unet3d.training.settings import OptimizerSettings
from keras_unet3d.training.step import TrainingStep, build_optimizer

# Two labelled voxels and one that is not. A 1×1×1 convolution of zeros gives each class a probability of ½ everywhere.
IMAGE = np.array([1, 3, 1000], np.float32).reshape(1, 1, 1, 3, 1)
CLASS_INDEX = np.array([0, 1, 0], np.int32).reshape(1, 1, 1, 3)
WEIGHT = np.array([1, 3, 0], np.float32).reshape(1, 1, 1, 3)
# d loss / d logit = weight (½ − [class]) / sum of weights; the kernel's gradient has the voxel's value as a factor.
KERNEL_GRADIENT = [(1 * 1 * -0.5 + 3 * 3 * 0.5) / 4, (1 * 1 * 0.5 + 3 * 3 * -0.5) / 4]  # 1, −1
BIAS_GRADIENT = [(1 * -0.5 + 3 * 0.5) / 4, (1 * 0.5 + 3 * -0.5) / 4]  # ¼, −¼
NORM = np.sqrt(2 * 1**2 + 2 * 0.25**2)


def linear():
    inputs = keras.Input((None, None, None, 1))
    return keras.Model(inputs, keras.layers.Conv3D(2, 1, kernel_initializer="zeros")(inputs))


def sgd(**changes):
    settings = OptimizerSettings.model_validate({"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, **changes})
    return build_optimizer(settings, "float32")


def weights_of(model):
    return [value.ravel() for value in model.get_weights()]


def test_one_step_of_sgd_is_the_update_computed_by_hand():
    model = linear()
    result = TrainingStep(model, sgd(), dice=0.0)((IMAGE, CLASS_INDEX, WEIGHT), 0.1)
    kernel, bias = weights_of(model)
    np.testing.assert_allclose(kernel, -0.1 * np.array(KERNEL_GRADIENT), rtol=1e-6)
    np.testing.assert_allclose(bias, -0.1 * np.array(BIAS_GRADIENT), rtol=1e-6)
    assert float(result.loss) == pytest.approx(np.log(2))
    assert float(result.gradient_norm) == pytest.approx(NORM)
    # Where both classes are equally probable the first is chosen; the unlabelled voxel is not counted.
    np.testing.assert_array_equal(result.confusion, [[1, 0], [1, 0]])


def test_a_gradient_that_is_too_long_is_shortened():
    model = linear()
    TrainingStep(model, sgd(), dice=0.0, clip_norm=0.1)((IMAGE, CLASS_INDEX, WEIGHT), 0.1)
    kernel, bias = weights_of(model)
    np.testing.assert_allclose(kernel, -0.1 * np.array(KERNEL_GRADIENT) * 0.1 / NORM, rtol=1e-5)
    assert np.linalg.norm([*kernel, *bias]) == pytest.approx(0.1 * 0.1)


def test_momentum_carries_a_step_into_the_next():
    """Without labels the gradient is 0: what moves is the momentum, half of the step before."""
    model = linear()
    step = TrainingStep(model, sgd(momentum=0.5), dice=0.0)
    step((IMAGE, CLASS_INDEX, WEIGHT), 0.1)
    result = step((IMAGE, CLASS_INDEX, 0 * WEIGHT), 0.1)
    np.testing.assert_allclose(weights_of(model)[0], -0.1 * 1.5 * np.array(KERNEL_GRADIENT), rtol=1e-6)
    assert float(result.loss) == 0


def test_soft_dice_is_added_as_often_as_it_counts():
    """Probabilities of ½: Dice of class 0 is 2·½ / (1 + 1), of class 1 the same, so the loss is ½."""
    losses = [float(TrainingStep(linear(), sgd(), dice)((IMAGE, CLASS_INDEX, WEIGHT), 0.1).loss) for dice in (0.0, 2.0)]
    assert losses[1] - losses[0] == pytest.approx(2 * 0.5)


def test_voxels_that_no_labelled_one_sees_do_not_change_the_update(resolved):
    """Labels at z < 4 of 64: a network of depth 1 sees less than 16 voxels of z. Batch statistics would see all."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, 64, 8, 8, 1)).astype(np.float32)
    far, near = image.copy(), image.copy()
    far[:, 40:] = 50 * rng.standard_normal((1, 24, 8, 8, 1))
    near[:, 4:8] = 0
    class_index = rng.integers(0, 2, (1, 64, 8, 8)).astype(np.int32)
    weight = np.zeros((1, 64, 8, 8), np.float32)
    weight[:, :4] = 1
    model = build_network(resolved({"network.normalization": "none"}), 1, 2, "float32")
    start, step = model.get_weights(), TrainingStep(model, sgd(), dice=1.0)

    def updated(image):
        model.set_weights(start)
        step((image, class_index, weight), 0.1)
        return np.concatenate(weights_of(model))

    usual = updated(image)
    np.testing.assert_allclose(updated(far), usual, atol=1e-6)
    assert np.abs(updated(near) - usual).max() > 1e-3


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_is_the_batch_at_once(resolved, parts):
    """Parts of different weight, one of them without a label; Dice is that of a part, so it is left out."""
    rng = np.random.default_rng(5)
    image = rng.standard_normal((4, 8, 8, 8, 1)).astype(np.float32)
    class_index = rng.integers(0, 2, image.shape[:-1]).astype(np.int32)
    weight = np.float32([0, 1, 2, 3]).reshape(4, 1, 1, 1) * (rng.random(image.shape[:-1]) < 0.5)
    batch = image, class_index, weight.astype(np.float32)
    model = build_network(resolved({"network.normalization": "instance"}), 1, 2, "float32")
    start = model.get_weights()
    whole = TrainingStep(model, sgd(), dice=0.0, clip_norm=0.5)(batch, 0.1)
    expected = np.concatenate(weights_of(model))
    model.set_weights(start)
    found = TrainingStep(model, sgd(), dice=0.0, clip_norm=0.5, parts=parts)(batch, 0.1)
    np.testing.assert_allclose(np.concatenate(weights_of(model)), expected, atol=1e-6)
    assert float(found.loss) == pytest.approx(float(whole.loss), rel=1e-5)
    assert float(found.gradient_norm) == pytest.approx(float(whole.gradient_norm), rel=1e-4)
    np.testing.assert_array_equal(found.confusion, whole.confusion)


def test_soft_dice_of_parts_is_their_mean(resolved):
    """Two parts that are the same tile: the loss is that of one."""
    rng = np.random.default_rng(6)
    image = np.repeat(rng.standard_normal((1, 8, 8, 8, 1)).astype(np.float32), 2, axis=0)
    class_index = np.repeat(rng.integers(0, 2, (1, 8, 8, 8)).astype(np.int32), 2, axis=0)
    model = build_network(resolved({"network.normalization": "instance"}), 1, 2, "float32")
    start = model.get_weights()
    weight = np.ones(class_index.shape, np.float32)
    one = TrainingStep(model, sgd(), dice=1.0)((image[:1], class_index[:1], weight[:1]), 0.1)
    expected = np.concatenate(weights_of(model))
    model.set_weights(start)
    two = TrainingStep(model, sgd(), dice=1.0, parts=2)((image, class_index, weight), 0.1)
    assert float(two.loss) == pytest.approx(float(one.loss), rel=1e-5)
    np.testing.assert_allclose(np.concatenate(weights_of(model)), expected, atol=1e-6)


def test_float16_scales_the_loss_and_skips_a_step_whose_gradient_overflows():
    model = linear()
    optimizer = build_optimizer(OptimizerSettings(name="sgd", learning_rate=1.0, momentum=0.0), "mixed_float16")
    step = TrainingStep(model, optimizer, dice=0.0)
    result = step((IMAGE, CLASS_INDEX, WEIGHT), 0.1)
    kernel, _ = weights_of(model)
    np.testing.assert_allclose(kernel, -0.1 * np.array(KERNEL_GRADIENT), rtol=1e-5)
    assert float(result.gradient_norm) == pytest.approx(NORM)
    overflow = step((IMAGE, CLASS_INDEX, np.where(WEIGHT > 0, np.float32(np.inf), 0)), 0.1)
    assert not np.isfinite(overflow.gradient_norm)
    np.testing.assert_array_equal(weights_of(model)[0], kernel)


def test_bfloat16_computes_in_half_and_keeps_its_weights_in_float32(resolved):
    settings = resolved({"precision": "mixed_bfloat16", "network.filters": 8})
    model = build_network(settings, 1, 2, settings.precision)
    assert model(np.zeros((1, 8, 8, 8, 1), np.float32)).dtype == tf.bfloat16
    assert {variable.dtype for variable in model.variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"  # of everyone else
    step = TrainingStep(model, build_optimizer(settings.optimizer, settings.precision), dice=1.0)
    image = np.random.default_rng(0).standard_normal((1, 8, 8, 8, 1)).astype(np.float32)
    class_index = (image[..., 0] > 0).astype(np.int32)
    losses = [float(step((image, class_index, np.ones_like(image[..., 0])), 0.01).loss) for _ in range(8)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
