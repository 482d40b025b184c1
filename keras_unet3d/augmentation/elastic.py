"""The engine on elasticdeform (van Tulder), compiled C that releases the GIL; the reference for the other engine."""

from typing import Any

import elasticdeform
import numpy as np
from numpy.typing import NDArray

from keras_unet3d.augmentation.coordinate_map import CoordinateMap
from keras_unet3d.augmentation.reading import read_unlabeled
from keras_unet3d.volumes.box import Box, read_mirrored


class ElasticdeformEngine:
    """Resamples with ``elasticdeform.deform_grid``."""

    name = "elasticdeform"

    def resample(
        self,
        image: NDArray[np.float32],
        class_index: NDArray[np.int16],
        coordinate_map: CoordinateMap,
        label_tile: Box,
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Produce an augmented tile: see `keras_unet3d.augmentation.engines.Engine`.

        Raises:
            ValueError: if the control points do not cover all sources; those of `draw_map` do.
        """
        if not coordinate_map.covers_source:
            raise ValueError(
                f"elasticdeform needs control points around all sources. They span {coordinate_map.grid_box}, "
                f"the sources {coordinate_map.source_box}."
            )
        source = coordinate_map.source_box
        image_block = _in_grid(coordinate_map, read_mirrored(image, source), source)
        source = coordinate_map.source_box_of(label_tile)
        label_block = _in_grid(coordinate_map, read_unlabeled(class_index, source), source)
        if label_tile == coordinate_map.tile:
            tile, labels = _deform([image_block, label_block], [1, 0], coordinate_map, label_tile)
        else:
            (tile,) = _deform([image_block], [1], coordinate_map, coordinate_map.tile)
            (labels,) = _deform([label_block], [0], coordinate_map, label_tile)
        return tile, labels


def _in_grid(coordinate_map: CoordinateMap, voxels: NDArray[Any], source: Box) -> NDArray[Any]:
    """Lay `voxels`, read at `source`, into an array that reaches from the first to the last control point.

    elasticdeform spans its control points over the whole array that it is given. Only the sources are read of it, so
    the rest need not be read from the volume; zeros cost neither time nor memory until they are touched.
    """
    grid = coordinate_map.grid_box
    block = np.zeros((*grid.shape, *voxels.shape[3:]), voxels.dtype)
    block[source.shifted([-value for value in grid.start]).slices] = voxels
    return block


def _deform(
    blocks: list[NDArray[Any]], orders: list[int], coordinate_map: CoordinateMap, box: Box
) -> list[NDArray[Any]]:
    """Deform blocks that reach from the first to the last control point, and keep `box`."""
    # elasticdeform inverts the affine that it is given, and applies that inverse to positions counted from the crop's
    # first voxel before it adds the crop's own place: t = M (s − c) + c − s, s being that voxel and c the centre.
    start = np.asarray(box.start)
    centre = coordinate_map.centre
    shift = coordinate_map.matrix @ (start - centre) + centre - start
    forward = np.linalg.inv(coordinate_map.matrix)
    deformed: list[NDArray[Any]] = elasticdeform.deform_grid(
        blocks,
        coordinate_map.displacement,
        order=orders,
        # Nothing lies outside: the blocks contain all sources, mirrored or unlabelled where the volume ends. What is
        # left is rounding at the first and the last voxel.
        mode="nearest",
        crop=list(box.shifted([-value for value in coordinate_map.grid_origin]).slices),
        axis=[(0, 1, 2)] * len(blocks),
        affine=np.column_stack([forward, -forward @ shift]),
    )
    return deformed
