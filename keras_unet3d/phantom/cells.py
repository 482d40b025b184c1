"""Where the cells are, and which cell a place belongs to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.phantom.centreline import STEP, Points, Tube


def wall_cells(tubes: Sequence[Tube], rng: np.random.Generator) -> Points:
    """Centres of the epithelial cells, µm: rings around the centre line, in the middle of the wall."""
    size = 9.0
    rings = []
    for tube in tubes:
        along = np.gradient(tube.points, axis=0) / STEP
        for at in range(0, len(tube.points), round(size / STEP)):
            radius = tube.lumen[at] + 0.55 * (tube.outer[at] - tube.lumen[at])
            angle = np.arange(0, 2 * np.pi, size / radius) + rng.uniform(0, 2 * np.pi)
            across = np.cross(along[at], np.eye(3)[np.argmin(np.abs(along[at]))])
            across /= np.linalg.norm(across)
            upright = np.cross(along[at], across)
            rings.append(
                tube.points[at] + radius * (np.outer(np.cos(angle), across) + np.outer(np.sin(angle), upright))
            )
    cells = np.concatenate(rings)
    return cells + rng.normal(0, 0.8, cells.shape)


def tissue_cells(extent: Points, rng: np.random.Generator) -> Points:
    """Centres of the cells of loose tissue, µm: a shaken lattice that covers `extent` (z, y, x)."""
    size = 12.0
    edges = (np.arange(-size, edge + size, size) for edge in extent)
    lattice = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, 3)
    return lattice + rng.uniform(-0.45, 0.45, lattice.shape) * size


def nearest_cell(cells: Points, places: Points) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.intp]]:
    """Divide space among the cells: every place belongs to the nearest centre (a Voronoi diagram).

    Returns:
        For each of `places`: the distance to its cell's centre and to its cell's border, both µm, and the cell's index.
    """
    from scipy.spatial import cKDTree

    distance, cell = cKDTree(cells).query(places, k=2)
    first, second = cell.T
    apart = np.linalg.norm(cells[first] - cells[second], axis=1)
    to_border = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * apart)
    return distance[:, 0], to_border, first
