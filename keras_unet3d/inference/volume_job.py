"""The segmentation of one volume, whatever computes it: predict → reduce → write."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import shown
from keras_unet3d.inference.delivery import HELD, Delivery
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.planning import Plan
from keras_unet3d.inference.postprocessing import BYTES_PER_VOXEL, ClassChange, background_of, postprocess
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.results import HeldVoxels, Outcome, Results, Store, class_dtype
from keras_unet3d.inference.segmentation import TileWork
from keras_unet3d.inference.segmented import Segmented
from keras_unet3d.network.work import Precision
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.resampling import ResampledVoxels
from keras_unet3d.volumes.scratch import scratch_copy
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import Voxels

Statistics = Literal["moving", "volume", "current"]

Progress = Callable[[float], None]
"""Told the share of the work that is done, from 0 to 1."""


class VolumeJob(ABC):
    """What is decided before the work, and the work; who computes the tiles, and which, is decided by its kinds.

    Attributes:
        volume: that is segmented, on the grid that the networks see.
        grid: that results are given on.
        plan: the tiles and what they will take.
        precision: of the features.
        statistics: those that the networks normalise by.
        warnings: what the user should know.
    """

    plan: Plan
    precision: Precision
    statistics: Statistics

    def __init__(self, volume: Volume, options: SegmentOptions, scheme: LabelScheme, delivery: Delivery = HELD) -> None:
        """Check what does not depend on who computes.

        Args:
            volume: raw ``(z, y, x, channel)``, in memory or in a file; `ResampledVoxels` are made once, when it runs.
            options: of the user.
            scheme: of the labels.
            delivery: where results go.

        Raises:
            InputError: if the options cannot be met.
        """
        self.volume, self._options, self._scheme = volume, options, scheme
        self._kept, self._results_count, self._excerpt = delivery.kept, delivery.results_count, delivery.excerpt
        self._workers = delivery.kept.workers if delivery.kept is not None else delivery.workers
        self.grid = delivery.grid or volume.grid
        self.warnings: list[str] = []
        self._check_post_processing()

    @property
    @abstractmethod
    def seconds(self) -> float:
        """How long all of it will take, from how long a part of it takes now."""

    @property
    def done(self) -> float:
        """The share of the work that a killed segmentation has left, from 0 to 1."""
        return self._prepared + (1 - self._share_of_preparation) * self._labelled() / prod(self.plan.tiles.volume)

    def run(self, kept: NDArray[np.int16] | None = None, progress: Progress = lambda _: None) -> Segmented:
        """Do the work.

        Args:
            kept: class index ``(z, y, x)`` on `grid` of voxels that stay as annotated, `UNLABELED` elsewhere.
            progress: told how far it is.
        """
        progress(self.done)
        if self._kept is not None:
            self._kept.keep_plan(self.plan.tiles)
        results = self._results()
        with ExitStack() as opened:
            self._compute(self._image(opened), results, progress)
        if self._excerpt is not None:
            outcome = self._excerpt.outcome(results)
        else:
            outcome = Outcome.of(results, self.volume.grid, self.grid)
        outcome, changes = self._post_processed(outcome)
        return Segmented(outcome, self._scheme, kept, changes)

    def prepare(self, progress: Progress = lambda _: None) -> None:
        """Find out what is the same for all tiles, and note it for whoever computes them."""
        with ExitStack() as opened:
            self._intensity_and_moments(self._image(opened), self._predictors()[0], progress)

    def run_blocks(self, numbers: Sequence[int], progress: Progress = lambda _: None) -> None:
        """Compute some of the tiles, and hand them to those who share the work.

        Args:
            numbers: of the tiles.
            progress: told the share of these that is done, from 0 to 1.
        """
        with ExitStack() as opened:
            self._compute(self._image(opened), self._results(), progress, numbers)

    @abstractmethod
    def _predictors(self) -> Sequence[Predictor]:
        """Of the same weights, one for each tile that is computed at a time."""

    def _prepare(self, image: Voxels, intensity: NDArray[np.float32], progress: Progress) -> None:  # noqa: B027
        """What the predictors need to be told of the volume before its tiles."""

    @property
    def _share_of_preparation(self) -> float:
        """The share of the work that this is."""
        return 0.0

    @property
    def _prepared(self) -> float:
        """The share of the work that is done of it already."""
        return 0.0

    def _image(self, opened: ExitStack) -> Voxels:
        """The image; one that is resampled as it is read is so once, into a file, as it is read several times."""
        voxels: Voxels = self.volume.voxels
        if not isinstance(getattr(voxels, "whole", voxels), ResampledVoxels):
            return voxels
        if self._kept is not None:
            folder = self._kept.folder
        else:
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="unet3d_")))
        return opened.enter_context(scratch_copy(voxels, folder / "resampled.raw"))

    def _intensity_and_moments(self, image: Voxels, predictor: Predictor, progress: Progress) -> NDArray[np.float32]:
        """Offset and scale of the volume; the statistics that networks normalise by are fixed, too."""
        intensity = self._kept.intensity if self._kept is not None else None
        if intensity is None:
            intensity = predictor.intensities.of(self._excerpt.working.voxels if self._excerpt else image)
            if self._kept is not None:
                self._kept.note_intensity(intensity)
        self._prepare(image, intensity, progress)
        return intensity

    def _compute(
        self, image: Voxels, results: Results, progress: Progress, numbers: Sequence[int] | None = None
    ) -> None:
        """What the tiles give, or some of them."""
        tiles = self.plan.tiles
        predictors = self._predictors()
        intensity = self._intensity_and_moments(image, predictors[0], progress)
        share = self._share_of_preparation if numbers is None else 0.0
        done = self._labelled(numbers)
        total = sum(prod(tiles[number].write.shape) for number in (range(len(tiles)) if numbers is None else numbers))
        written = dict(self._kept.planes) if self._kept else {}

        def wrote(number: int, box: Box) -> None:
            nonlocal done
            done += prod(box.shape)
            if self._kept is not None:
                self._kept.wrote(number, box)
            progress(min(share + (1 - share) * done / total, 1.0))

        TileWork(image, tiles, intensity, results, wrote, written, numbers).run(predictors)

    def _check_post_processing(self) -> None:
        wanted = self._options.post_processing
        if not wanted.wanted:
            return
        if self._excerpt is not None:
            raise InputError(
                "Components and holes of a region are not those of the volume. Leave out --largest-component, "
                "--min-size and --fill-holes, or --region."
            )
        background_of(self._scheme)
        wanted.fewest_voxels(self.grid)
        self.warnings += filter(None, [wanted.assumed_unit(self.grid)])

    def _check_memory_of_post_processing(self, budget: int, held: int) -> None:
        """Components are found in the memory of this process."""
        if not self._options.post_processing.wanted:
            return
        shape = self.grid.shape
        read = 0 if self._results_count else np.dtype(self._class_dtype).itemsize
        needed = held + prod(shape) * (BYTES_PER_VOXEL + read)
        if needed > budget:
            raise InputError(
                f"Components of {named(shape)} are found in memory, which takes {shown(needed, rounded_up=True)}; "
                f"{shown(budget)} may be taken. Give more (--memory), or leave out --largest-component, --min-size and "
                f"--fill-holes."
            )

    def _check_memory_of_begun(self, plan: Plan, held: int) -> None:
        """What a segmentation was begun with may be too large for this process.

        Where several share the work, what a process holds already differs by a little, and what is free by much: only
        what cannot be true is refused.
        """
        if self._kept is None or plan.memory <= plan.budget:
            return
        needed, allowed = shown(plan.memory, rounded_up=True), shown(plan.budget)
        if self._kept.workers is None:
            raise InputError(
                f"What is to be resumed was planned for {needed} of memory; {allowed} may be taken. Give that much "
                f"(--memory), or begin again without --resume."
            )
        if self._options.memory is not None and plan.memory - held > plan.budget:
            raise InputError(
                f"The blocks were planned for {needed} of memory in each process; {allowed} may be taken. Give that "
                f"much (--memory), or remove {self._kept.folder} to begin again."
            )
        self.warnings.append(f"A block takes about {needed} of memory; {allowed} may be taken now.")

    @property
    def _held_results(self) -> int:
        """Bytes of results that stay in memory."""
        if not self._results_count:
            return 0
        floats = self._scheme.classes * bool(self._options.probabilities) + self._options.computes_uncertainty
        voxels = sum(prod(shape) for shape in {self.volume.grid.shape, self.grid.shape})
        return voxels * (int(np.dtype(self._class_dtype).itemsize) + 4 * floats)

    @property
    def _class_dtype(self) -> Any:
        return class_dtype(self._scheme.classes)

    def _results(self) -> Results:
        shape, classes = self.volume.grid.shape, self._scheme.classes

        def store(name: str, channels: tuple[int, ...], dtype: Any) -> Store:
            if self._kept is None:
                return HeldVoxels(np.empty((*shape, *channels), dtype))
            return self._kept.voxels(name, (*shape, *channels), dtype)

        return Results(
            store("classes", (), self._class_dtype),
            store("probabilities", (classes,), np.float32) if self._options.probabilities else None,
            store("uncertainty", (1,), np.float32) if self._options.computes_uncertainty else None,
        )

    def _labelled(self, numbers: Sequence[int] | None = None) -> int:
        """Voxels of tiles, or of all, whose class is there already."""
        tiles, planes = self.plan.tiles, self._kept.planes if self._kept else {}
        counted = planes if numbers is None else set(numbers) & planes.keys()
        return sum(planes[number] * prod(tiles[number].write.shape[1:]) for number in counted)

    def _post_processed(self, outcome: Outcome) -> tuple[Outcome, tuple[ClassChange, ...]]:
        """In memory: what the network gave stays on disk as it is, for a segmentation that is resumed.

        It is the last that happens to classes: resampled afterwards, a component could fall into two.
        """
        wanted = self._options.post_processing
        if not wanted.wanted:
            return outcome, ()
        held = outcome.classes[:, :, :]
        changes = postprocess(held, wanted, self.grid, background_of(self._scheme))
        return replace(outcome, classes=HeldVoxels(held)), changes
