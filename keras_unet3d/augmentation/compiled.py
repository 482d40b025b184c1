"""The engine in Keras operations, for any backend: eager, in a ``tf.data`` map, under ``tf.function`` or ``jax.jit``.

It has two halves. `resampling_inputs` (NumPy) reads what is needed of the volume and turns the coordinate map into
small matrices; `resample_block` (tensors, a pure function) makes the tile of it.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_unet3d.augmentation.coordinate_map import CoordinateMap, voxels_along_axes
from keras_unet3d.augmentation.reading import read_unlabeled
from keras_unet3d.volumes.box import Box, Triple, read_mirrored


class ResamplingInputs(NamedTuple):
    """What `resample_block` takes: NumPy arrays or tensors.

    Attributes:
        image_block: float32 ``(z, y, x, channel)``, the sources of the tile, mirrored outside the volume.
        label_block: int16 ``(z, y, x)``, the sources of the label tile, unlabelled outside the volume.
        label_offset: float32 ``(3,)``, where `label_block` begins in `image_block`.
        displacement: float32 ``(3, kz, ky, kx)``, the displacement at the control points.
        spline_z: float32 ``(tile, kz)``, from control values to the spline's values along z.
        spline_y: float32 ``(tile, ky)``, along y.
        spline_x: float32 ``(tile, kx)``, along x.
        affine_z: float32 ``(tile, 3)``: the source of a voxel in `image_block` is the sum of three such rows.
        affine_y: float32 ``(tile, 3)``, along y.
        affine_x: float32 ``(tile, 3)``, along x.
    """

    image_block: Any
    label_block: Any
    label_offset: Any
    displacement: Any
    spline_z: Any
    spline_y: Any
    spline_x: Any
    affine_z: Any
    affine_y: Any
    affine_x: Any


def resampling_inputs_spec(tile_shape: Triple, channels: int) -> list[tuple[tuple[int | None, ...], type[np.generic]]]:
    """Shape and type of each of the `ResamplingInputs`; None where it changes from sample to sample."""
    depth, height, width = tile_shape
    return [
        ((None, None, None, channels), np.float32),
        ((None, None, None), np.int16),
        ((3,), np.float32),
        ((3, None, None, None), np.float32),
        ((depth, None), np.float32),
        ((height, None), np.float32),
        ((width, None), np.float32),
        ((depth, 3), np.float32),
        ((height, 3), np.float32),
        ((width, 3), np.float32),
    ]


def resampling_inputs(
    coordinate_map: CoordinateMap, image: NDArray[np.float32], class_index: NDArray[np.int16], label_tile: Box
) -> ResamplingInputs:
    """Read what the tile needs of the volume, and write the coordinate map as matrices (NumPy only).

    Args:
        coordinate_map: where the tile comes from.
        image: the whole volume, float32 ``(z, y, x, channel)``.
        class_index: the whole volume, int16 ``(z, y, x)``, −1 where unlabelled.
        label_tile: the part of the tile that labels are wanted for, in voxels of the volume.
    """
    source = coordinate_map.source_box
    label_source = coordinate_map.source_box_of(label_tile)
    affine_terms = coordinate_map.affine_terms(voxels_along_axes(coordinate_map.tile))
    # Counting from the block's first voxel before rounding to float32 keeps positions exact to 1e-5 of a voxel.
    affine_terms[0] = affine_terms[0] - np.asarray(source.start)
    matrices = [
        coordinate_map.displacement,
        *coordinate_map.interpolation_matrices(coordinate_map.tile),
        *affine_terms,
    ]
    return ResamplingInputs(
        read_mirrored(image, source),
        read_unlabeled(class_index, label_source),
        np.subtract(label_source.start, source.start).astype(np.float32),
        *(matrix.astype(np.float32) for matrix in matrices),
    )


def resample_block(inputs: ResamplingInputs, label_crop: Box) -> tuple[Any, Any]:
    """Resample image and labels: a pure function of tensors.

    Args:
        inputs: as tensors; where they arrive as a flat list, ``ResamplingInputs(*tensors)``.
        label_crop: the label tile counted from the tile's first voxel; static under ``jax.jit``.

    Returns:
        The image tile, float32 ``(z, y, x, channel)``, interpolated linearly, and the class indices of the label tile,
        int16 ``(z, y, x)``, of the nearest voxels.
    """
    displacement = ops.einsum("czyx,Zz->cZyx", inputs.displacement, inputs.spline_z)
    displacement = ops.einsum("cZyx,Yy->cZYx", displacement, inputs.spline_y)
    displacement = ops.einsum("cZYx,Xx->cZYX", displacement, inputs.spline_x)
    positions = [
        displacement[axis]
        + inputs.affine_z[:, axis, None, None]
        + inputs.affine_y[None, :, axis, None]
        + inputs.affine_x[None, None, :, axis]
        for axis in range(3)
    ]
    crop = label_crop.slices
    label_positions = [position[crop] - inputs.label_offset[axis] for axis, position in enumerate(positions)]
    return _linear(inputs.image_block, positions), _nearest(inputs.label_block, label_positions)


class CompiledEngine:
    """Resamples with `resample_block`, eagerly. Pipelines call its two halves themselves."""

    name = "compiled"

    def resample(
        self,
        image: NDArray[np.float32],
        class_index: NDArray[np.int16],
        coordinate_map: CoordinateMap,
        label_tile: Box,
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Produce an augmented tile: see `keras_unet3d.augmentation.engines.Engine`."""
        inputs = resampling_inputs(coordinate_map, image, class_index, label_tile)
        label_crop = label_tile.shifted([-value for value in coordinate_map.tile.start])
        tile, labels = resample_block(ResamplingInputs(*map(ops.convert_to_tensor, inputs)), label_crop)
        return ops.convert_to_numpy(tile), ops.convert_to_numpy(labels)


def _linear(block: Any, positions: list[Any]) -> Any:
    """Interpolate ``(z, y, x, channel)`` between the eight voxels around each position, all channels at once.

    Written as ``a + w (b − a)``, so that a constant stays exactly constant and a whole position exactly its voxel.
    """
    shape = ops.shape(block)
    voxels = ops.reshape(block, (-1, shape[3]))
    (z, y, x), (weight_z, weight_y, weight_x) = zip(
        *(_neighbours(position, length) for position, length in zip(positions, shape[:3], strict=True)), strict=True
    )

    def row(at_z: int, at_y: int) -> Any:
        first = (z[at_z] * shape[1] + y[at_y]) * shape[2]
        low = ops.take(voxels, first + x[0], axis=0)
        return low + weight_x * (ops.take(voxels, first + x[1], axis=0) - low)

    def plane(at_z: int) -> Any:
        low = row(at_z, 0)
        return low + weight_y * (row(at_z, 1) - low)

    low = plane(0)
    return low + weight_z * (plane(1) - low)


def _neighbours(position: Any, length: Any) -> tuple[tuple[Any, Any], Any]:
    """The two voxels around each position along one axis, and the weight of the second, with an axis for channels."""
    last = ops.cast(length, "int32") - 1
    # Rounding can put a position just outside the block.
    position = ops.clip(position, 0.0, ops.cast(last, "float32"))
    low = ops.floor(position)
    index = ops.cast(low, "int32")
    return (index, ops.minimum(index + 1, last)), (position - low)[..., None]


def _nearest(block: Any, positions: list[Any]) -> Any:
    """The voxel of ``(z, y, x)`` that is nearest to each position."""
    shape = ops.shape(block)
    z, y, x = (
        ops.clip(ops.cast(ops.floor(position + 0.5), "int32"), 0, ops.cast(length, "int32") - 1)
        for position, length in zip(positions, shape, strict=True)
    )
    return ops.take(ops.reshape(block, (-1,)), (z * shape[1] + y) * shape[2] + x, axis=0)
