"""What a training step takes of a device's memory."""

from keras_unet3d.inference.budget import shown
from keras_unet3d.network.work import BYTES, NetworkSize
from keras_unet3d.training.settings import Settings

ALLOCATED = 1.4
"""Memory taken beside what is held, by the gaps between tensors: 1.2 to 1.5 times in steps on a CPU."""


def step_memory(settings: Settings, devices: int, *, recompute: bool) -> float:
    """Bytes that a step takes on each of its devices, about.

    Args:
        settings: resolved.
        devices: that share the batch.
        recompute: see `keras_unet3d.training.forward.training_forward`.
    """
    network, tile = settings.network, settings.tile or (0, 0, 0)
    size = NetworkSize(network.geometry, network.filters or 0, 1, 2)  # which image and how many classes hardly matters
    tiles = (settings.batch_size or 1) // (devices * settings.accumulate)
    number = BYTES["float32" if settings.precision == "float32" else "bfloat16"]
    tensors = size.held_training(tile, normalized=network.normalization != "none", recompute=recompute)
    learned = {"adam": 2, "sgd": 1}[settings.optimizer.name]
    weights = (1 + 1 + learned) * size.weights  # with their gradients
    return ALLOCATED * float(number * tiles * tensors + BYTES["float32"] * weights)


def must_recompute(settings: Settings, devices: int, memory: float) -> str | None:
    """Why levels have to be computed again; None where memory suffices without.

    Args:
        settings: resolved.
        devices: that share the batch.
        memory: bytes that a step may take on one of them.
    """
    once, again = (step_memory(settings, devices, recompute=recompute) for recompute in (False, True))
    if once <= memory:
        return None
    why = (
        f"a step takes about {shown(once)}, and {shown(memory)} can be had. Computing levels twice takes {shown(again)}"
    )
    if again > memory:
        why += ". Where that fails: a smaller --tile or --batch-size, more --accumulate, or fewer --filters"
    return why
