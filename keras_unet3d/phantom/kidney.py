"""The synthetic kidney, which stands in for the Xenopus kidneys of Çiçek et al. 2016, section 3.1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.phantom.microscope import record
from keras_unet3d.phantom.tissue import specimen
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.volume import Grid

CHANNELS = ("lectin", "nuclei", "membranes")
SPACING = (2.04, 1.76, 1.76)
"""Distance between voxel centres along z, y, x, µm."""

SMALLEST = 16
"""Voxels along each axis that a piece of tubule needs to be one."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A recording, and what nobody knows of a real one.

    Attributes:
        image: float32 (z, y, x, channel), grey values of `CHANNELS`, whole numbers from 0 to 4095.
        truth: uint8 (z, y, x): 0 inside the tubule, 1 tubule, 2 background.
        grid: where the voxels lie, in µm.
    """

    image: NDArray[np.float32]
    truth: NDArray[np.uint8]
    grid: Grid


def kidney(shape: Triple = (64, 244, 248), seed: int | Sequence[int] = 0) -> Phantom:
    """Grow a kidney, stain it, record it.

    A smaller volume holds a smaller piece of kidney with cells and tubules of the same size.

    Args:
        shape: voxels along z, y, x, at least 16 each.
        seed: decides everything; the same seed gives the same kidney, recorded the same way.

    Raises:
        InputError: if an axis is too short to hold a piece of tubule.

    Example:
        >>> phantom = kidney((32, 64, 64), seed=1)
        >>> phantom.image.shape
        (32, 64, 64, 3)
    """
    if min(shape) < SMALLEST:
        raise InputError(
            f"A synthetic kidney needs at least {SMALLEST} voxels along each axis. Received: {named(shape)}."
        )
    rng = np.random.default_rng(seed)
    grid = Grid(shape, SPACING, unit="µm")
    grown = specimen(grid, rng)
    return Phantom(record(grown.stain, SPACING, rng), grown.truth, grid)
