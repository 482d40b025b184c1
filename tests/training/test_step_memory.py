"""What a step takes grows with what it holds."""

from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training.settings import Settings
from keras_unet3d.training.step_memory import ALLOCATED, step_memory

SIZE, TILE = NetworkSize(Geometry("same"), 16, 1, 2), (32, 32, 32)


def memory(tiles=1, recompute=False, **changes):
    return step_memory(Settings.model_validate(changes), SIZE, TILE, tiles, recompute=recompute)


def test_tensors_and_weights_are_counted_by_their_bytes():
    held = SIZE.held_training(TILE, normalized=True, recompute=False)
    weights = 4 * SIZE.weights
    assert memory() == ALLOCATED * (4 * held + 4 * weights)  # Adam: weights, their gradients, two moments
    assert memory(optimizer={"name": "sgd"}) == ALLOCATED * (4 * held + 3 * weights)
    assert memory(tiles=3, precision="mixed_bfloat16") == ALLOCATED * (2 * 3 * held + 4 * weights)
    assert memory(accumulate=2) == ALLOCATED * (4 * held + 5 * weights)  # and the gradients of all parts


def test_levels_that_are_computed_twice_are_not_held():
    assert memory(tiles=8, recompute=True) < 0.7 * memory(tiles=8)
    assert memory(tiles=8, network={"normalization": "none"}) < memory(tiles=8)
