"""From a raw volume to a class for every voxel, tile by tile."""

import queue
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from math import prod
from threading import Event, Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.results import HeldVoxels, Results, Sink, class_dtype
from keras_unet3d.inference.slabs import read_ahead
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.voxels import Voxels

Progress = Callable[[int, int], None]
"""Called with the voxels written so far and those of the whole volume."""


def segment_voxels(
    image: Voxels,
    predictor: Predictor,
    plan: TilePlan,
    *,
    progress: Progress | None = None,
    probabilities: Sink | None = None,
) -> NDArray[Any]:
    """Give every voxel of a volume its most probable class, in memory.

    The volume is read as if mirrored about its border voxels, and the result does not depend on where the tiles lie
    (with statistics that do not depend on the tile).

    Args:
        image: raw ``(z, y, x, channel)``, any number type, any spatial size.
        predictor: gives class probabilities for raw tiles.
        plan: for this volume and the predictor's geometry.
        progress: told after every slab.
        probabilities: what they are written to, box by box, if they are wanted.

    Returns:
        Class indices ``(z, y, x)``: uint8, uint16 above 256 classes.

    Raises:
        ValueError: if the plan is for another volume or another geometry.

    Warns:
        UserWarning: if the predictor's statistics are those of a tile and the plan has several.
    """
    if predictor.tile_dependent and len(plan) > 1:
        warnings.warn(tiles_matter(plan), stacklevel=2)
    classes = np.empty(image.shape[:3], dtype=class_dtype(predictor.classes))
    held = Results(HeldVoxels(classes))
    results = held if probabilities is None else _Both(held, probabilities)
    written = 0

    def wrote(_: int, box: Box) -> None:
        nonlocal written
        written += prod(box.shape)
        if progress is not None:
            progress(written, classes.size)

    TileWork(image, plan, predictor.intensities.of(image), results, wrote).run([predictor])
    return classes


@dataclass(frozen=True, eq=False)
class _Both:
    """Two takers of probabilities."""

    first: Sink
    second: Sink

    def write(self, box: Box, voxels: NDArray[np.float32]) -> None:
        """Hand a box to both."""
        self.first.write(box, voxels)
        self.second.write(box, voxels)


@dataclass(eq=False)
class TileWork:
    """The tiles of a volume, computed by any number of predictors at once.

    Reading, computing and writing overlap: while a predictor computes one slab, the next is read, and the last is
    reduced to labels and written.

    Attributes:
        image: raw ``(z, y, x, channel)``.
        plan: for this volume.
        intensity: offset and scale ``(channel, 2)`` of the volume.
        results: takes the probabilities ``(z, y, x, class)`` of each box.
        wrote: told each box that was written, with the number of its tile; from one thread at a time.
        written: planes of each tile that are written already, by its number.
        numbers: of the tiles that are computed; None, of all.
    """

    image: Voxels
    plan: TilePlan
    intensity: NDArray[np.float32]
    results: Sink
    wrote: Callable[[int, Box], None]
    written: Mapping[int, int] = field(default_factory=dict)
    numbers: Iterable[int] | None = None

    def __post_init__(self) -> None:
        if self.plan.volume != self.image.shape[:3]:
            raise ValueError(
                f"Expected a plan for {named(self.image.shape[:3])}. Received: one for {named(self.plan.volume)}"
            )
        self._lock, self._stop = Lock(), Event()
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(self, predictors: Sequence[Predictor]) -> None:
        """Compute the tiles.

        Args:
            predictors: of the same weights, one for each device.

        Raises:
            ValueError: if the plan is for another geometry than theirs.
        """
        for predictor in predictors:
            if predictor.geometry != self.plan.geometry:
                raise ValueError(f"Expected a plan for {predictor.geometry}. Received: one for {self.plan.geometry}")
        self._stop.clear()
        self._waiting = queue.SimpleQueue()
        for number in range(len(self.plan)) if self.numbers is None else self.numbers:
            if self.written.get(number, 0) < self.plan[number].write.shape[0]:
                self._waiting.put(number)
        if len(predictors) == 1:
            self._work(predictors[0])
            return
        with ThreadPoolExecutor(len(predictors), thread_name_prefix="device") as devices:
            working = [devices.submit(self._work, predictor) for predictor in predictors]
            try:
                for future in working:
                    future.result()
            except BaseException:  # of a device, or Ctrl-C: this thread waits for the others' slabs, not their tiles
                self._stop.set()
                raise

    def _work(self, predictor: Predictor) -> None:
        """Take tiles until none is left, or the work is stopped."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="write") as writer:
                while not self._stop.is_set():
                    try:
                        number = self._waiting.get_nowait()
                    except queue.Empty:
                        return
                    self._compute(number, predictor, writer)
        except BaseException:
            self._stop.set()
            raise

    def _compute(self, number: int, predictor: Predictor, writer: ThreadPoolExecutor) -> None:
        tile = self.plan[number].after(self.written.get(number, 0), self.plan.geometry)
        (first, top, left), (end, bottom, right) = tile.crop.start, tile.crop.stop
        stream = predictor.start(self.intensity)
        passed = 0
        writing: Future[None] | None = None
        with closing(read_ahead(self.image, tile, self.plan.slab)) as slabs:
            for planes, last in slabs:
                if self._stop.is_set():
                    return
                probabilities = stream.push(planes, last=last)
                if probabilities is None:
                    continue
                start, stop = max(passed, first), min(passed + len(probabilities), end)
                if start < stop:
                    kept = probabilities[start - passed : stop - passed, top:bottom, left:right]
                    z = tile.write.start[0] - first
                    box = Box((start + z, *tile.write.start[1:]), (stop + z, *tile.write.stop[1:]))
                    if writing is not None:
                        writing.result()
                    writing = writer.submit(self._write, number, box, kept)
                passed += len(probabilities)
        if writing is not None:
            writing.result()

    def _write(self, number: int, box: Box, probabilities: NDArray[np.float32]) -> None:
        self.results.write(box, probabilities)
        with self._lock:
            self.wrote(number, box)


def tiles_matter(plan: TilePlan) -> str:
    """What to tell a user whose model normalises by the statistics of each tile, where there are several."""
    return (
        f"This model normalises by the statistics of each tile, and the volume takes {len(plan)} of them "
        f"({named(plan.counts)}): the labels depend on where the tiles lie, and seams are possible. None arise with "
        f"statistics of the whole volume (--statistics volume), or with memory for the volume in one tile."
    )
