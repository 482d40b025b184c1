"""The parts of a large image in which something is labelled: nothing else of its voxels is held in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.intensity import volume_intensity
from keras_unet3d.volumes.resampling import ResampledVoxels, resampled_grid
from keras_unet3d.volumes.slabs import SLAB_BYTES
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import Voxels, read_together
from keras_unet3d.wording import counted

LARGE = 1 << 30
"""Bytes of an image in float32 from which on only its labelled parts are read."""

MARGIN = 160
"""Voxels around labels that are a case's own, at least: around tiles of usual size. Training adds what larger ones
need."""

_CELL = 32
"""Voxels along each axis of what is one box at first: chunks and shards are larger, and may hold labels far apart."""

_FEW = 256
"""Boxes of which each is compared with each."""


class WholeImage:
    """A large image, of which some parts are cases."""

    def __init__(self, name: str, volume: Volume) -> None:
        """Take an image that is read part by part, and what it is called."""
        self.name, self.volume = name, volume
        self._measured: dict[Spacing | None, NDArray[np.float32]] = {}

    def intensity(self, spacing: Spacing | None = None) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` of all of it, for all its parts: it is read once, or once a round.

        Args:
            spacing: that it is resampled to before.
        """
        if spacing not in self._measured:
            grid = self.volume.grid if spacing is None else resampled_grid(self.volume.grid, spacing)
            voxels: Voxels = self.volume.voxels
            if grid != self.volume.grid:
                voxels = ResampledVoxels(voxels, self.volume.grid, grid)
            self._measured[spacing] = volume_intensity(voxels)
        return self._measured[spacing]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Where a case lies in the image that it is a part of.

    Attributes:
        whole: the image.
        labelled: the box of the labels.
        box: of the case: the labels and what surrounds them.
    """

    whole: WholeImage
    labelled: Box
    box: Box

    @classmethod
    def around(cls, whole: WholeImage, labelled: Box, margins: Sequence[int] | None = None) -> "Neighbourhood":
        """The labels, with so many voxels on each side as far as the image has them; `MARGIN` unless said otherwise."""
        return cls(whole, labelled, labelled.grown(margins or (MARGIN,) * 3).clipped(whole.volume.grid.shape))


@dataclass(frozen=True, eq=False)
class LabelledPart:
    """A box of a label map.

    Attributes:
        box: where it lies.
        values: label values ``(z, y, x)``.
        own: the voxels that count for this part; others are in one before it.
    """

    box: Box
    values: NDArray[Any]
    own: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelledParts:
    """All that is labelled in a label map; each labelled voxel is in one part.

    Attributes:
        labels: the map, whose voxels are read part by part.
        parts: in its order.
    """

    labels: Volume
    parts: tuple[LabelledPart, ...]

    @classmethod
    def of(cls, labels: Volume, unlabeled: int | None, slices: AnnotatedSlices | None) -> "LabelledParts | None":
        """Find the labels, part by part; None where they fill so much of the volume that all of it may be read.

        Args:
            labels: voxels ``(z, y, x, 1)``.
            unlabeled: the value of voxels without a label.
            slices: in which alone 0 is a label.
        """

        def is_labelled(values: NDArray[Any]) -> NDArray[np.bool_]:
            labelled = np.ones(values.shape, bool) if unlabeled is None else values != unlabeled
            return labelled if slices is None else labelled & (values != 0)

        shape = labels.grid.shape
        planes = [_plane(shape, axis, index) for axis, index in slices or ()]
        boxes = merged([*planes, *_labelled_boxes(labels.voxels, is_labelled)], shape)
        if 2 * sum(_surrounded(box, shape) for box in boxes) > np.prod(shape, dtype=np.int64):
            return None
        parts: list[LabelledPart] = []
        for box in boxes:
            own = np.ones(box.shape, bool)
            for before in parts:
                own[_common(before.box, box).shifted([-first for first in box.start]).slices] = False
            parts.append(LabelledPart(box, labels.voxels[box.slices][..., 0], own))
        return cls(labels, tuple(parts))


def merged(boxes: Iterable[Box], shape: Triple) -> list[Box]:
    """Boxes of which two become one where that, with what surrounds it, has no more voxels than both.

    Blocks of a painted slice become the slice; slices that cross stay apart, as the box of both is the volume.

    Args:
        boxes: inside of the volume.
        shape: of the volume.
    """
    found = list(boxes)
    while True:
        count = len(found)
        for axis in (2, 1, 0):
            others = [other for other in range(3) if other != axis]
            found.sort(key=lambda box, axis=axis, others=others: (*(box.start[o] for o in others), box.start[axis]))  # type: ignore[misc]
            found = _neighbours_merged(found, shape)
        if len(found) <= _FEW:
            found = _all_merged(found, shape)
        if len(found) == count:
            return sorted(found, key=lambda box: box.start)


def _neighbours_merged(boxes: Sequence[Box], shape: Triple) -> list[Box]:
    kept: list[Box] = []
    for box in boxes:
        if kept and _worth(kept[-1], box, shape):
            kept[-1] = _both(kept[-1], box)
        else:
            kept.append(box)
    return kept


def _all_merged(boxes: Sequence[Box], shape: Triple) -> list[Box]:
    kept: list[Box] = []
    for box in boxes:
        grown = box
        while (at := next((n for n, other in enumerate(kept) if _worth(other, grown, shape)), None)) is not None:
            grown = _both(kept.pop(at), grown)
        kept.append(grown)
    return kept


def _worth(one: Box, other: Box, shape: Triple) -> bool:
    return _surrounded(_both(one, other), shape) <= _surrounded(one, shape) + _surrounded(other, shape)


def _surrounded(box: Box, shape: Triple) -> int:
    """Voxels of a box with what surrounds it."""
    return box.grown((MARGIN,) * 3).clipped(shape).voxels


def _both(one: Box, other: Box) -> Box:
    z, y, x = (min(pair) for pair in zip(one.start, other.start, strict=True))
    z_stop, y_stop, x_stop = (max(pair) for pair in zip(one.stop, other.stop, strict=True))
    return Box((z, y, x), (z_stop, y_stop, x_stop))


def _common(one: Box, other: Box) -> Box:
    """Empty where they have nothing in common."""
    start = np.maximum(one.start, other.start)
    return Box.at(start.tolist(), np.maximum(np.minimum(one.stop, other.stop) - start, 0).tolist()).clipped(other.stop)


def _plane(shape: Triple, axis: int, index: int) -> Box:
    start, lengths = [0, 0, 0], list(shape)
    start[axis], lengths[axis] = index, 1
    return Box.at(start, lengths)


def _labelled_boxes(voxels: Voxels, is_labelled: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> Iterator[Box]:
    """Of each cell that holds a label, the box of its labels; blocks that were never written are not read."""
    for block in _blocks(voxels, is_labelled):
        labelled = is_labelled(voxels[block.slices][..., 0])
        if not labelled.any():
            continue
        for cell in blocks(Box((0, 0, 0), block.shape), 1, (_CELL,) * 3, _CELL**3):
            within = labelled[cell.slices]
            if within.any():
                ends = [_ends(within, axis) for axis in range(3)]
                box = Box.at([first for first, _ in ends], [stop - first for first, stop in ends])
                yield box.shifted(cell.start).shifted(block.start)


def _ends(labelled: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    here = np.flatnonzero(labelled.any(axis=tuple(other for other in range(3) if other != axis)))
    return int(here[0]), int(here[-1]) + 1


def _blocks(voxels: Voxels, is_labelled: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> Iterator[Box]:
    z, y, x, _ = voxels.shape
    written = getattr(voxels, "written", None)
    if written is not None and not is_labelled(np.array([voxels.empty_value]))[0]:  # type: ignore[attr-defined]
        yield from written()
    else:
        yield from blocks(Box((0, 0, 0), (z, y, x)), voxels.dtype.itemsize, read_together(voxels), SLAB_BYTES)


def with_margins(within: Neighbourhood, margins: Sequence[int]) -> Neighbourhood:
    """The neighbourhood, or a larger one of the same labels that has so many voxels around them."""
    wanted = Neighbourhood.around(within.whole, within.labelled, margins)
    both = _both(wanted.box, within.box)
    return within if both == within.box else replace(wanted, box=both)


def check_memory_of_parts(name: str, parts: Sequence[Neighbourhood]) -> None:
    """Refuse parts that take more memory than there is, before any is read.

    Args:
        name: of the image.
        parts: of it.

    Raises:
        InputError: naming both amounts.
    """
    import psutil

    channels = {part.whole.volume.voxels.shape[3] for part in parts}
    voxel_bytes = np.dtype(np.float32).itemsize * max(channels, default=1) + np.dtype(np.int16).itemsize
    needed, available = sum(part.box.voxels for part in parts) * voxel_bytes, psutil.virtual_memory().available
    if needed > available:
        raise InputError(
            f"{name}: its {counted(len(parts), 'labelled part')} with what surrounds them take {needed / 2**30:.2g} "
            f"GiB, and {available / 2**30:.1f} GiB of memory are free. Annotate smaller boxes, train on a coarser "
            "level, or use a machine with more memory."
        )
