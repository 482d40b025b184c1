"""What the microscope would see without blur and noise: cells, their nuclei and membranes, and what lectin binds to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.phantom.cells import nearest_cell, tissue_cells, wall_cells
from keras_unet3d.phantom.centreline import Points, Tube, pronephros, vessels
from keras_unet3d.volumes.volume import Grid

INSIDE, TUBULE, BACKGROUND = 0, 1, 2
"""Labels of the classes (Çiçek et al. 2016, section 3.1)."""

SKIN = 1.8
"""How far the stain of a surface reaches, µm."""

Field = NDArray[Any]
"""One value for each of some voxels."""


@dataclass(frozen=True, eq=False)
class Specimen:
    """The stained embryo.

    Attributes:
        truth: uint8 (z, y, x), `INSIDE`, `TUBULE` or `BACKGROUND`.
        stain: float32 (z, y, x, 3), concentrations of lectin, nuclear stain and β-catenin, about 0 … 1.
    """

    truth: NDArray[np.uint8]
    stain: NDArray[np.float32]


def specimen(grid: Grid, rng: np.random.Generator) -> Specimen:
    """Grow a kidney and what surrounds it, and stain it.

    Around the tubule lies what looks like it to anyone who sees a few voxels only: cords of cells (muscle, filled
    vessels) that bind lectin as strongly but have no lumen; channels and cavities as black as the lumen, lined with
    lectin, but without a wall of cells; and patches of mucus.
    """
    extent = np.multiply(grid.shape, grid.spacing)
    tubule = pronephros(extent, rng)
    cords = vessels(extent, tubule, 0.07, (5.0, 10.0), rng)
    channels = vessels(extent, [*tubule, *cords], 0.04, (5.0, 9.0), rng)

    places = _places(grid)
    bumps = _smooth_noise(grid, 5.0, rng)
    to_centre, outer, lumen = _nearest(tubule, places, reach=40.0)
    outside = to_centre + bumps - outer
    off_lumen = to_centre + 0.7 * bumps - lumen
    truth = np.select([off_lumen < 0, outside < 0], [INSIDE, TUBULE], BACKGROUND).astype(np.uint8)

    to_centre, outer, _ = _nearest(cords, places, reach=20.0)
    outside_cord = to_centre + bumps - outer
    to_centre, outer, _ = _nearest(channels, places, reach=20.0)
    cavity = 12.0 - 6.0 * _smooth_noise(grid, 16.0, rng)  # about µm, near its surface
    outside_dark = np.maximum(np.minimum(to_centre + bumps - outer, cavity), 6.0 - outside)

    wall = truth == TUBULE
    tissue = (truth == BACKGROUND) & (outside_dark > 0)
    stain = np.zeros((len(places), 3), np.float32)
    stain[wall] = _stained_wall(places[wall], outside[wall], off_lumen[wall], wall_cells(tubule, rng), rng)
    stain[tissue] = _stained_tissue(
        places[tissue], outside_cord[tissue], outside_dark[tissue], tissue_cells(extent, rng), rng
    )
    mucus = np.clip(_smooth_noise(grid, 9.0, rng) - 0.9, 0, 1)
    debris = np.clip(_smooth_noise(grid, 3.0, rng) - 1.0, 0, 1)
    stain[:, 0] += mucus * np.where(tissue, 0.9, 0.5)
    stain[:, 1:] += (0.5 * debris * ~(wall | tissue))[:, None]
    return Specimen(truth.reshape(grid.shape), stain.reshape(*grid.shape, 3))


def _stained_wall(
    places: Points, outside: Field, off_lumen: Field, cells: Points, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The epithelium: one layer of cells with bright borders; lectin binds most at its inner and outer surface."""
    to_cell, to_border, cell = nearest_cell(cells, places)
    vigour = rng.uniform(0.5, 1.3, len(cells))[cell]
    apical, basal = _near(off_lumen, SKIN), _near(outside, SKIN)
    nuclei = vigour * _within(3.0 - to_cell)
    lectin = 0.34 * vigour + 0.30 * apical + 0.20 * basal
    membranes = 0.12 + 0.75 * np.maximum(_near(to_border, 1.2), 0.8 * np.maximum(apical, basal))
    return _stain(lectin, nuclei, membranes)


def _stained_tissue(
    places: Points, outside_cord: Field, outside_dark: Field, cells: Points, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Loose tissue; in the cords dense tissue that binds lectin; and the thin lining of cords and cavities."""
    to_cell, to_border, cell = nearest_cell(cells, places)
    vigour = rng.uniform(0.5, 1.3, len(cells))[cell]
    nucleus = rng.uniform(2.6, 3.8, len(cells))[cell]
    cord = _within(-outside_cord)
    lining = _near(np.minimum(np.abs(outside_cord), outside_dark), SKIN)
    cytoplasm = np.maximum(_within(6.5 - to_cell), cord)  # loose cells leave dark gaps
    nuclei = vigour * _within(nucleus - to_cell)
    lectin = cytoplasm * (0.16 + 0.30 * cord * vigour) + 0.35 * lining
    membranes = 0.12 * cytoplasm + (0.45 + 0.3 * cord) * np.maximum(cytoplasm * _near(to_border, 1.2), 0.8 * lining)
    return _stain(lectin, nuclei, membranes)


def _stain(lectin: Field, nuclei: Field, membranes: Field) -> NDArray[np.float32]:
    """The three channels; lectin stays out of the nuclei, and the nuclear stain is a little everywhere."""
    return np.stack([lectin * (1 - 0.5 * nuclei), 0.05 + nuclei, membranes], axis=-1).astype(np.float32)


def _nearest(tubes: Sequence[Tube], places: Points, reach: float) -> tuple[Field, Field, Field]:
    """Distance to the nearest centre line, and that tube's outer and lumen radius there, µm.

    Infinite, 0 and 0 where every centre line is further than `reach`.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(np.concatenate([tube.points for tube in tubes]))
    distance, point = tree.query(places, distance_upper_bound=reach)
    outer = np.concatenate([*(tube.outer for tube in tubes), [0.0]])
    lumen = np.concatenate([*(tube.lumen for tube in tubes), [0.0]])
    return distance, outer[point], lumen[point]


def _smooth_noise(grid: Grid, scale: float, rng: np.random.Generator) -> Field:
    """Noise of unit variance, smoothed by a Gaussian with a standard deviation of `scale` µm, for all voxels."""
    from scipy.ndimage import gaussian_filter

    noise = rng.standard_normal(grid.shape, np.float32)
    noise = gaussian_filter(noise, [scale / edge for edge in grid.spacing], mode="wrap").ravel()
    return np.asarray(noise / noise.std())


def _near(distance: Field, width: float) -> Field:
    """1 on a surface, falling off on both sides of it."""
    return np.exp(-((distance / width) ** 2))


def _within(depth: Field) -> Field:
    """From 0 outside to 1 inside of a surface, over a micrometre or two."""
    return 0.5 + 0.5 * np.tanh(depth / 0.8)


def _places(grid: Grid) -> Points:
    """(voxel, 3) positions of all voxels along z, y, x, µm."""
    axes = (np.arange(size) * edge for size, edge in zip(grid.shape, grid.spacing, strict=True))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
