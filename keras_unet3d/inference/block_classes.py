"""The class indices of blocks, on their way into a label image that several processes write."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.inference.block_markers import BlockMarkers
from keras_unet3d.inference.results import class_dtype
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.inference.unfinished import SECONDS_BETWEEN_NOTES
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.label_image import LabelImage


class BlockClasses:
    """Takes the class indices of blocks, slab by slab, and writes them as labels, layer by layer."""

    ndim = 3

    def __init__(self, image: LabelImage, plan: TilePlan, scheme: LabelScheme, markers: BlockMarkers) -> None:
        """Prepare.

        Args:
            image: that is written.
            plan: whose tiles are the blocks.
            scheme: of the labels.
            markers: of what is written already, and will be.
        """
        self._image, self._plan, self._scheme, self._markers = image, plan, scheme, markers
        self._begun: dict[int, _BegunBlock] = {}
        self.shape: tuple[int, ...] = plan.volume
        self.dtype: np.dtype[Any] = np.dtype(class_dtype(scheme.classes))

    def __getitem__(self, part: Any, /) -> NDArray[Any]:
        """Not to be had."""
        raise ValueError("Blocks are read from the image that they were written to.")

    def write(self, box: Box, voxels: NDArray[Any]) -> None:
        """Take the class indices of planes that follow the ones before them in their block."""
        number = self._plan.at(box.start)
        block = self._plan[number].write
        if number not in self._begun:
            self._begun[number] = self._begin(number, block, box.start[0])
        begun = self._begun[number]
        begun.waiting.append(voxels)
        end = box.stop[0] if box.stop[0] == block.stop[0] else box.stop[0] // self._image.layer * self._image.layer
        if end > begun.layer:
            self._write_layers(number, block, begun, end)
        elif time.monotonic() - begun.noted_at > SECONDS_BETWEEN_NOTES:
            self._keep(number, block, begun, box.stop[0])

    def _begin(self, number: int, block: Box, start: int) -> "_BegunBlock":
        """Go on behind the planes that are written already."""
        layer = max(start // self._image.layer * self._image.layer, block.start[0])
        before, kept = layer - block.start[0], start - layer
        rest = self._markers.rest(number, before, (kept, *block.shape[1:]), self.dtype) if kept else None
        return _BegunBlock(self._markers.counted(number, before), [] if rest is None else [rest], layer, start)

    def _write_layers(self, number: int, block: Box, begun: "_BegunBlock", end: int) -> None:
        """Write all layers up to a plane."""
        classes = np.concatenate(begun.waiting)
        begun.waiting = [classes[end - begun.layer :]]
        classes = classes[: end - begun.layer]
        begun.counts += np.bincount(classes.ravel(), minlength=len(begun.counts))
        self._image.write(
            Box((begun.layer, *block.start[1:]), (end, *block.stop[1:])), self._scheme.label_values(classes)
        )
        if end == block.stop[0]:
            self._image.halve(block)
            del self._begun[number]
        self._markers.note(number, end - block.start[0], begun.counts)
        self._markers.drop_rest(number, begun.layer - block.start[0])
        begun.layer = begun.noted = end
        begun.noted_at = time.monotonic()

    def _keep(self, number: int, block: Box, begun: "_BegunBlock", end: int) -> None:
        """Keep the planes that no layer has yet."""
        new = np.concatenate(begun.waiting)
        begun.waiting = [new]
        before, planes = begun.layer - block.start[0], end - block.start[0]
        self._markers.note_rest(number, before, planes, new[begun.noted - begun.layer :])
        begun.noted, begun.noted_at = end, time.monotonic()


@dataclass(eq=False)
class _BegunBlock:
    """How far a block is, in planes of the volume.

    Attributes:
        counts: voxels of each class in the layers that are written.
        waiting: class indices of the planes behind them.
        layer: where these begin.
        noted: up to where they are kept on the disk.
        noted_at: when that was done last.
    """

    counts: NDArray[np.int64]
    waiting: list[NDArray[Any]]
    layer: int
    noted: int
    noted_at: float = field(default_factory=time.monotonic)
