"""What comes after the last step, and how long it will take by what was measured."""

from collections.abc import Sequence

from keras_unet3d.inference.agreement import FLOP, VOLUMES
from keras_unet3d.inference.devices import devices, has_bfloat16
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training.sampling import Labelled
from keras_unet3d.volumes.box import Triple

PASSES = 3
"""A training step computes as much as so many predictions: forwards, and backwards for inputs and for weights."""


def comparison_flop(size: NetworkSize, volumes: Sequence[Labelled]) -> float:
    """Operations that `precision_agreement` takes at most, both precisions together; 0 where there is only one.

    Args:
        size: of the network.
        volumes: that it is given.
    """
    if not has_bfloat16(devices()):
        return 0.0
    chosen = volumes[:: max(len(volumes) // VOLUMES, 1)][:VOLUMES]
    return 2 * sum(min(FLOP / len(chosen), _whole(size, volume)) for volume in chosen)


def flop_per_second(size: NetworkSize, tile: Triple, batch_size: int, steps_per_second: float) -> float:
    """How fast a training computes, waiting for data included."""
    return PASSES * batch_size * float(size.flop(tile)) * steps_per_second


def _whole(size: NetworkSize, volume: Labelled) -> float:
    z, y, x = (axis.input_length(n) for axis, n in zip(size.geometry.axes, volume.class_index.shape, strict=True))
    return float(size.flop((z, y, x)))
