"""What a training step takes of a device's memory."""

from typing import Any

from keras_unet3d.inference.budget import shown
from keras_unet3d.network.work import BYTES, Lengths, NetworkSize
from keras_unet3d.training.settings import Settings

ALLOCATED = 1.4
"""So many times the memory of what is held is taken, with gaps between tensors and what operations need for themselves:
1.2 to 1.5 in steps on a CPU; on a GPU it was not measured."""


def step_memory(settings: Settings, size: NetworkSize, tile: Lengths, tiles: int, *, recompute: bool) -> Any:
    """Bytes that a step takes on each of its devices, about.

    Args:
        settings: precision, optimizer, normalisation and parts of a batch are looked at.
        size: of the network.
        tile: input voxels along z, y, x, or arrays of them.
        tiles: that a device computes at once.
        recompute: see `keras_unet3d.training.forward.training_forward`.
    """
    number = BYTES["float32" if settings.precision in (None, "float32") else "bfloat16"]
    normalized = settings.network.normalization != "none"
    tensors = size.held_training(tile, normalized=normalized, recompute=recompute)
    learned = 1 if settings.optimizer.name == "sgd" else 2
    added_up = settings.accumulate > 1
    weights = (1 + 1 + added_up + learned) * size.weights  # with their gradients, of the last part and of all
    return ALLOCATED * (number * tiles * tensors + BYTES["float32"] * weights)


def must_recompute(settings: Settings, size: NetworkSize, tile: Lengths, tiles: int, memory: float) -> str | None:
    """Why levels have to be computed again; None where memory suffices without.

    Args:
        settings: as for `step_memory`, and so are size, tile and tiles.
        size: of the network.
        tile: input voxels along z, y, x.
        tiles: that a device computes at once.
        memory: bytes that a step may take on one of them.
    """
    once, again = (float(step_memory(settings, size, tile, tiles, recompute=each)) for each in (False, True))
    if once <= memory:
        return None
    why = (
        f"a step takes about {shown(once)}, and {shown(memory)} can be had. Computing levels twice takes {shown(again)}"
    )
    if again > memory:
        why += ". Where that fails: a smaller --tile or --batch-size, more --accumulate, or fewer --filters"
    return why
