"""The confocal microscope: what becomes of a stained specimen on its way to grey values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLUR = (2.9, 1.1, 1.1)
"""Standard deviation of the point spread function along z, y, x, µm: light microscopes blur most along their axis."""

PHOTONS = 18.0
"""Photons that arrive from a voxel of concentration 1 at the surface of the specimen."""

STRAY = 0.04
"""Light from a voxel without any stain, as a concentration."""

BLACK, WHITE = 100, 4095
"""The grey value of darkness, and the largest one of a 12-bit detector."""


def record(stain: NDArray[np.float32], spacing: Sequence[float], rng: np.random.Generator) -> NDArray[np.float32]:
    """Record a specimen, channel by channel.

    Light is blurred by the optics and fades with depth (scattering) and with every slice recorded (bleaching); it
    arrives as photons, and the detector adds noise of its own. Gain, fading and bleaching differ between recordings.

    Args:
        stain: concentrations (z, y, x, channel), about 0 … 1.
        spacing: distance between voxel centres along z, y, x, µm.
        rng: decides everything.

    Returns:
        Grey values (z, y, x, channel), whole numbers from 0 to 4095.
    """
    from scipy.ndimage import gaussian_filter

    blur = [width / edge for width, edge in zip(BLUR, spacing, strict=True)]
    slices = stain.shape[0]
    depth = np.arange(slices) * spacing[0]
    image = np.empty_like(stain)
    for channel in range(stain.shape[-1]):
        gain = 1500 * np.exp(rng.normal(0, 0.2))
        fading = np.exp(-depth / rng.uniform(130, 220))
        bleaching = np.linspace(1, rng.uniform(0.7, 1), slices)
        light = (gaussian_filter(stain[..., channel], blur) + STRAY) * (fading * bleaching)[:, None, None]
        photons = rng.poisson(PHOTONS * light)
        grey = BLACK + gain / PHOTONS * photons + rng.normal(0, 30, photons.shape)
        image[..., channel] = np.clip(np.rint(grey), 0, WHITE)
    return image
