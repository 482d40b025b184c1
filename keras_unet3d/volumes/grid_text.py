"""A grid as one line of text, for formats that have no place for origin and direction (TIFF, HDF5)."""

import json
from dataclasses import asdict, replace

import numpy as np

from keras_unet3d.volumes.units import IN_MM
from keras_unet3d.volumes.volume import Grid

GRID_KEY = "unet3d_grid"
"""The name under which the line is kept."""


def grid_to_text(grid: Grid) -> str:
    """All of a grid as ASCII JSON."""
    return json.dumps(asdict(grid))


def grid_from_text(text: object, plain: Grid, *, spacing_known: bool = True) -> Grid:
    """The grid of `grid_to_text`, where it agrees in shape and spacing with `plain`, the format's own; else `plain`.

    Other software may have cropped or rescaled the voxels and kept the line.

    Args:
        text: what the file holds under `GRID_KEY`.
        plain: the grid that the format itself tells.
        spacing_known: whether the format told a spacing.
    """
    try:
        values = json.loads(str(text))
        grid = Grid.from_affine(plain.shape, _affine(values), values["unit"] if values["unit"] in IN_MM else "")
    except (ValueError, KeyError, TypeError):
        return plain
    same_spacing = not spacing_known or np.allclose(grid.spacing, plain.in_unit(grid.unit).spacing, rtol=1e-3)
    if tuple(values["shape"]) != plain.shape or not same_spacing:
        return plain
    return replace(grid, placed=bool(values.get("placed", True)))


def _affine(values: dict[str, list[float]]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(values["direction"], float).reshape(3, 3) * np.array(values["spacing"], float)[::-1]
    affine[:3, 3] = np.array(values["origin"], float)
    return affine
