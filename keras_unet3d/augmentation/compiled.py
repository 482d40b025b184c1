"""The engine in Keras operations, for any backend: eager, in a ``tf.data`` map, under ``tf.function`` or ``jax.jit``.

It has two halves. `resampling_inputs` (NumPy) reads what is needed of the volume and turns the coordinate map into
small matrices; `resample_block` (tensors, a pure function) makes the tile of it. Compiled by XLA, the second half is
one loop over the voxels of the tile: nothing of the tile's size is written but the tile. XLA compiles anew for every
size that it meets, so what changes from sample to sample lies in buffers with some `Room`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_unet3d.augmentation.coordinate_map import CoordinateMap, voxels_along_axes
from keras_unet3d.augmentation.reading import read_unlabeled
from keras_unet3d.volumes.box import Box, Triple, read_mirrored

MORE_ROOM = 1.3
"""A buffer that is too small is followed by one this many times as large."""
ALIGNED = 64
"""Bytes; where an array begins at a multiple of them, TensorFlow takes it as it lies."""


class ResamplingInputs(NamedTuple):
    """What `resample_block` takes: NumPy arrays or tensors.

    Attributes:
        image_block: float32 ``(voxel, channel)``, the sources of the tile in the order z, y, x, mirrored outside the
            volume; behind them whatever is there.
        image_shape: int32 ``(3,)``, voxels of `image_block` along z, y, x.
        label_block: int16 ``(voxel,)``, the sources of the label tile, unlabelled outside the volume.
        label_shape: int32 ``(3,)``, voxels of `label_block` along z, y, x.
        label_offset: float32 ``(3,)``, where `label_block` begins in `image_block`.
        displacement: float32 ``(3, k, k, k)``, the displacement at the control points; 0 behind them.
        splines: float32 ``(tile, k)`` along z, y and x, from control values to the spline's values.
        affine: float32 ``(tile, 3)`` along z, y and x: the source of a voxel in `image_block` is the sum of three rows.
    """

    image_block: Any
    image_shape: Any
    label_block: Any
    label_shape: Any
    label_offset: Any
    displacement: Any
    spline_z: Any
    spline_y: Any
    spline_x: Any
    affine_z: Any
    affine_y: Any
    affine_x: Any


@dataclass(frozen=True)
class Room:
    """How large the buffers of `ResamplingInputs` are.

    Attributes:
        image_voxels: of the image block.
        label_voxels: of the label block.
        control_points: along each axis.
    """

    image_voxels: int = 0
    label_voxels: int = 0
    control_points: int = 0

    @classmethod
    def needed(cls, coordinate_map: CoordinateMap, label_tile: Box) -> Self:
        """Just enough for one sample."""
        return cls(
            coordinate_map.source_box.voxels,
            coordinate_map.source_box_of(label_tile).voxels,
            max(coordinate_map.displacement.shape),
        )

    def holding(self, needed: "Room") -> "Room":
        """This room, or in steps a larger one, that holds what is needed."""
        return Room(
            _grown(self.image_voxels, needed.image_voxels),
            _grown(self.label_voxels, needed.label_voxels),
            max(self.control_points, needed.control_points),
        )


def resampling_inputs_spec(tile_shape: Triple, channels: int) -> list[tuple[tuple[int | None, ...], type[np.generic]]]:
    """Shape and type of each of the `ResamplingInputs`; None where it follows from the room."""
    splines: list[tuple[tuple[int | None, ...], type[np.generic]]] = [((n, None), np.float32) for n in tile_shape]
    return [
        ((None, channels), np.float32),
        ((3,), np.int32),
        ((None,), np.int16),
        ((3,), np.int32),
        ((3,), np.float32),
        ((3, None, None, None), np.float32),
        *splines,
        *(((n, 3), np.float32) for n in tile_shape),
    ]


def resampling_inputs(
    coordinate_map: CoordinateMap,
    image: NDArray[np.float32],
    class_index: NDArray[np.int16],
    label_tile: Box,
    room: Room | None = None,
) -> ResamplingInputs:
    """Read what the tile needs of the volume, and write the coordinate map as matrices (NumPy only).

    Args:
        coordinate_map: where the tile comes from.
        image: the whole volume, float32 ``(z, y, x, channel)``.
        class_index: the whole volume, int16 ``(z, y, x)``, −1 where unlabelled.
        label_tile: the part of the tile that labels are wanted for, in voxels of the volume.
        room: of the buffers; None is just enough.
    """
    source = coordinate_map.source_box
    label_source = coordinate_map.source_box_of(label_tile)
    room = room or Room.needed(coordinate_map, label_tile)
    affine_terms = coordinate_map.affine_terms(voxels_along_axes(coordinate_map.tile))
    # Counting from the block's first voxel before rounding to float32 keeps positions exact to 1e-5 of a voxel.
    affine_terms[0] = affine_terms[0] - np.asarray(source.start)
    displacement = np.zeros((3, *[room.control_points] * 3), np.float32)
    _, *points = coordinate_map.displacement.shape
    displacement[:, : points[0], : points[1], : points[2]] = coordinate_map.displacement
    splines = [
        np.pad(matrix, [(0, 0), (0, room.control_points - matrix.shape[1])])
        for matrix in coordinate_map.interpolation_matrices(coordinate_map.tile)
    ]
    image_block = _buffer((room.image_voxels, image.shape[3]), np.float32)
    read_mirrored(image, source, image_block[: source.voxels].reshape(*source.shape, image.shape[3]))
    label_block = _buffer((room.label_voxels,), np.int16)
    read_unlabeled(class_index, label_source, label_block[: label_source.voxels].reshape(label_source.shape))
    return ResamplingInputs(
        image_block,
        np.array(source.shape, np.int32),
        label_block,
        np.array(label_source.shape, np.int32),
        np.subtract(label_source.start, source.start).astype(np.float32),
        displacement,
        *(matrix.astype(np.float32) for matrix in (*splines, *affine_terms)),
    )


def resample_block(inputs: ResamplingInputs, label_crop: Box) -> tuple[Any, Any]:
    """Resample image and labels: a pure function of tensors.

    Args:
        inputs: as tensors; where they arrive as a flat list, ``ResamplingInputs(*tensors)``.
        label_crop: the label tile counted from the tile's first voxel; static under ``jax.jit``.

    Returns:
        What `resample_image` and `resample_labels` do.
    """
    return resample_image(inputs), resample_labels(inputs, label_crop)


def resample_image(inputs: ResamplingInputs) -> Any:
    """The image tile, float32 ``(z, y, x, channel)``, interpolated linearly; the inputs of labels are not read."""
    return _linear(inputs.image_block, inputs.image_shape, _positions(inputs))


def resample_labels(inputs: ResamplingInputs, label_crop: Box) -> Any:
    """The class indices of the label tile, int16 ``(z, y, x)``, of the nearest voxels; the image is not read.

    The work is that of the label tile: an unpadded network returns a fraction of what it takes.
    """
    z, y, x = label_crop.slices
    of_labels = inputs._replace(
        spline_z=inputs.spline_z[z],
        spline_y=inputs.spline_y[y],
        spline_x=inputs.spline_x[x],
        affine_z=inputs.affine_z[z],
        affine_y=inputs.affine_y[y],
        affine_x=inputs.affine_x[x],
    )
    positions = [position - inputs.label_offset[axis] for axis, position in enumerate(_positions(of_labels))]
    return _nearest(inputs.label_block, inputs.label_shape, positions)


def _positions(inputs: ResamplingInputs) -> list[Any]:
    """Where the voxels of the tile come from, along z, y and x, in voxels of the image block."""
    displacement = ops.einsum("czyx,Zz->cZyx", inputs.displacement, inputs.spline_z)
    displacement = ops.einsum("cZyx,Yy->cZYx", displacement, inputs.spline_y)
    displacement = ops.einsum("cZYx,Xx->cZYX", displacement, inputs.spline_x)
    return [
        displacement[axis]
        + inputs.affine_z[:, axis, None, None]
        + inputs.affine_y[None, :, axis, None]
        + inputs.affine_x[None, None, :, axis]
        for axis in range(3)
    ]


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


def _linear(voxels: Any, shape: Any, positions: list[Any]) -> Any:
    """Interpolate ``(voxel, channel)`` between the eight voxels around each position, all channels at once.

    Written as ``a + w (b − a)``, so that a constant stays exactly constant and a whole position exactly its voxel.
    """
    (z, y, x), (weight_z, weight_y, weight_x) = zip(
        *(_neighbours(position, shape[axis]) for axis, position in enumerate(positions)), strict=True
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
    last = length - 1
    # Rounding can put a position just outside the block.
    position = ops.clip(position, 0.0, ops.cast(last, "float32"))
    low = ops.floor(position)
    index = ops.cast(low, "int32")
    return (index, ops.minimum(index + 1, last)), (position - low)[..., None]


def _nearest(voxels: Any, shape: Any, positions: list[Any]) -> Any:
    """The voxel that is nearest to each position."""
    z, y, x = (
        ops.clip(ops.cast(ops.floor(position + 0.5), "int32"), 0, shape[axis] - 1)
        for axis, position in enumerate(positions)
    )
    return ops.take(voxels, (z * shape[1] + y) * shape[2] + x, axis=0)


def _grown(room: int, needed: int) -> int:
    if room == 0:
        return needed
    while room < needed:
        room = int(room * MORE_ROOM) + 1
    return room


def _buffer(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """An array that holds nothing yet, where TensorFlow can take it as it lies."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    return memory[start : start + size].view(dtype).reshape(shape)
