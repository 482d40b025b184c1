"""What happens to one sample, drawn in NumPy from seed, step and index alone, whichever engine resamples it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.augmentation.coordinate_map import CoordinateMap
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.box import Box


@dataclass(frozen=True, eq=False)
class GreyValues:
    """What happens to the intensities of one tile; the fields hold one float32 per channel, but `seed`.

    Attributes:
        gain: factor on the normalised intensities.
        offset: added behind the gain.
        gamma: exponent of the curve through the darkest and the brightest voxel of the tile.
        noise_sigma: standard deviation of the noise that is added last.
        seed: decides the noise; below 2⁶³.
    """

    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    gamma: NDArray[np.float32]
    noise_sigma: NDArray[np.float32]
    seed: int


def sample_generator(seed: int, step: int, index: int, attempt: int = 0) -> np.random.Generator:
    """The generator of one sample: the same numbers for the same four arguments, others for any other.

    Args:
        seed: of the whole training.
        step: of the training.
        index: of the sample in the batch of this step.
        attempt: counts how often the sample was drawn again because its tile had no labelled voxel.

    Raises:
        ValueError: if one of them is negative.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(step, index, attempt))
    return np.random.Generator(np.random.Philox(sequence))


def draw_map(
    settings: AugmentationSettings, rng: np.random.Generator, tile: Box, spacing: Sequence[float]
) -> CoordinateMap:
    """Draw where the voxels of `tile` come from.

    The grid of control points lies symmetrically about the tile. It is enlarged by a control point on each side,
    keeping those that were drawn, until it contains all sources.

    Args:
        settings: the ranges.
        rng: from `sample_generator`.
        tile: in voxels of the volume; may lie partly outside.
        spacing: distance between voxel centres along z, y, x in any one unit: rotations keep physical lengths.

    Raises:
        ValueError: if a spacing is not positive.
    """
    matrix = _draw_matrix(settings, rng, spacing)
    step = settings.displacement_spacing
    counts = np.maximum(-(-(np.asarray(tile.shape) - 1) // step) + 1, 2)
    displacement = rng.normal(0.0, settings.sigma, (3, *counts))
    while True:
        origin = np.asarray(tile.start) + (np.asarray(tile.shape) - (step * (counts - 1) + 1)) // 2
        z, y, x = (int(value) for value in origin)
        coordinate_map = CoordinateMap(tile, matrix, displacement, (z, y, x), step)
        if coordinate_map.covers_source:
            return coordinate_map
        grid, source = coordinate_map.grid_box, coordinate_map.source_box
        missing = np.less(source.start, grid.start) | np.greater(source.stop, grid.stop)
        counts = counts + 2 * missing
        kept = displacement
        displacement = rng.normal(0.0, settings.sigma, (3, *counts))
        inner = [slice(int(ring), int(count - ring)) for ring, count in zip(missing, counts, strict=True)]
        displacement[:, inner[0], inner[1], inner[2]] = kept


def draw_grey(settings: AugmentationSettings, rng: np.random.Generator, channels: int) -> GreyValues:
    """Draw what happens to the intensities of each of `channels`."""
    return GreyValues(
        gain=_draw_factors(rng, settings.gain, channels).astype(np.float32),
        offset=rng.uniform(-settings.offset, settings.offset, channels).astype(np.float32),
        gamma=_draw_factors(rng, settings.gamma, channels).astype(np.float32),
        noise_sigma=rng.uniform(0.0, settings.noise, channels).astype(np.float32),
        seed=int(rng.integers(2**63)),
    )


def _draw_matrix(
    settings: AugmentationSettings, rng: np.random.Generator, spacing: Sequence[float]
) -> NDArray[np.float64]:
    """Rotation in physical space about z, y and x, magnification and mirroring, from offset to source offset."""
    if not all(distance > 0 for distance in spacing):
        raise ValueError(f"Expected a positive spacing along each axis. Received: {named(spacing)}")
    angles = rng.uniform(-1.0, 1.0, 3) * settings.rotation_degrees
    magnification = float(_draw_factors(rng, settings.scaling, 1)[0])
    mirrored = np.where(rng.random(3) < 0.5, -1.0, 1.0)
    mirror = np.where([axis in settings.mirror for axis in AXES], mirrored, 1.0)
    return rotation_matrix(angles, spacing) @ np.diag(mirror / magnification)


def rotation_matrix(degrees: Sequence[float] | NDArray[np.float64], spacing: Sequence[float]) -> NDArray[np.float64]:
    """The rotation about z, then y, then x (intrinsic, right-handed) as a 3×3 matrix on voxel offsets (z, y, x).

    It is ``S⁻¹ R S`` with ``S = diag(spacing)``: a rotation of physical space, also where voxels are no cubes.
    """
    from scipy.spatial.transform import Rotation

    scale = np.asarray(spacing, dtype=np.float64)
    of_xyz = Rotation.from_euler("ZYX", degrees, degrees=True).as_matrix()
    result: NDArray[np.float64] = of_xyz[::-1, ::-1] * scale[None, :] / scale[:, None]
    return result


def _draw_factors(rng: np.random.Generator, bounds: tuple[float, float], count: int) -> NDArray[np.float64]:
    """Factors, even in their logarithm; exactly 1 for the bounds 1 and 1."""
    factors: NDArray[np.float64] = np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), count))
    return factors
