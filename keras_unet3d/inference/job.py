"""The segmentation of one volume, from an opened image to labels on disk: plan → predict → reduce → write."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, combinations
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import default_budget, held_memory, shown
from keras_unet3d.inference.devices import chosen_precision, devices, gpu_memory
from keras_unet3d.inference.ensemble import Ensemble
from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.plan_choice import advice, begun_plan, choose_plan
from keras_unet3d.inference.planning import Demand, Plan
from keras_unet3d.inference.postprocessing import BYTES_PER_VOXEL, ClassChange, background_of, postprocess
from keras_unet3d.inference.results import HeldVoxels, Outcome, Results, Store, class_dtype
from keras_unet3d.inference.segmentation import TileWork
from keras_unet3d.inference.segmented import Segmented
from keras_unet3d.inference.statistics import MomentPasses
from keras_unet3d.inference.unfinished import Unfinished
from keras_unet3d.network.clones import clone
from keras_unet3d.network.work import NetworkSize, Precision
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.box import Box, Triple
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities
from keras_unet3d.volumes.resampling import ResampledVoxels
from keras_unet3d.volumes.scratch import scratch_copy
from keras_unet3d.volumes.volume import Grid, Volume
from keras_unet3d.volumes.voxels import Voxels

Statistics = Literal["moving", "volume", "current"]

Progress = Callable[[float], None]
"""Told the share of the work that is done, from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Member:
    """A network of an ensemble, and what is known of it.

    Attributes:
        name: of its folder, which may hold several.
        network: a Keras model, spatial sizes None.
        size: of it.
        bfloat16_agrees: whether both precisions were seen to give the same labels.
        mirrored_axes: axes (``"z"``, ``"y"``, ``"x"``) that its training mirrored.
        intensities: that it wants.
    """

    name: str
    network: Any
    size: NetworkSize
    bfloat16_agrees: bool
    mirrored_axes: tuple[str, ...]
    intensities: Intensities = PER_VOLUME


ENOUGH_TO_TELL = 1e10
"""Operations after which a processor has shown how fast it is: a second or less."""


class SegmentationJob:
    """Everything that is decided before the work, and the work.

    Attributes:
        volume: that is segmented, on the grid that the networks see.
        grid: that results are given on.
        plan: the tiles and what they will take.
        precision: of the features.
        statistics: those that the networks normalise by.
        warnings: what the user should know.
    """

    def __init__(
        self,
        volume: Volume,
        members: Sequence[Member],
        options: SegmentOptions,
        scheme: LabelScheme,
        unfinished: Unfinished | None = None,
        *,
        grid: Grid | None = None,
        in_memory: bool = False,
    ) -> None:
        """Plan.

        Args:
            volume: raw ``(z, y, x, channel)``, in memory or in a file; `ResampledVoxels` are made once, when it runs.
            members: of one geometry, for the classes of `scheme`.
            options: of the user.
            scheme: of the labels.
            unfinished: where results go, and what another process began; without, `run` keeps them in memory.
            grid: of the same place, that results are resampled to; None is that of `volume`.
            in_memory: whether the budget has to suffice for results in memory, too.

        Raises:
            InputError: if the options cannot be met; nothing was computed.
        """
        self.volume, self._members, self._options, self._scheme = volume, members, options, scheme
        self._unfinished, self._in_memory = unfinished, in_memory
        self.grid = grid or volume.grid
        self._devices = devices()
        self.warnings: list[str] = []
        agrees = all(member.bfloat16_agrees for member in members)
        self.precision: Precision = chosen_precision(options.precision, agrees=agrees, names=self._devices)
        self._axes = _combinations(_common_axes(members)) if options.mirrored else [()]
        self._check_post_processing()
        self._networks = [self._networks_on(device) for device in self._devices]
        self.statistics: Statistics = options.statistics if self._normalizations else "moving"
        self.plan = self._make_plan()
        self.warnings += filter(None, [advice(self.plan)])

    @property
    def seconds(self) -> float:
        """How long the networks will take for all of it, from how long one takes for a part of a tile here."""
        tiles, size, predictor = self.plan.tiles, self._members[0].size, self._networks[0][0]
        part = _each_at_most([axis.minimum for axis in tiles.geometry.axes], tiles.tile)
        while part != tiles.tile and float(size.flop(part)) < ENOUGH_TO_TELL:
            part = _each_at_most([length + tiles.geometry.coarsest for length in part], tiles.tile)
        planes = np.zeros((*part, size.channels), np.float32)
        step = tiles.slab or len(planes)

        def compute() -> float:
            start = time.perf_counter()
            stream = predictor.start(np.ones((size.channels, 2), np.float32))
            for first in range(0, len(planes), step):
                stream.push(planes[first : first + step], last=first + step >= len(planes))
            return time.perf_counter() - start

        compute()  # compiles
        return self.plan.flop / float(size.flop(part)) * compute() / len(self._devices)

    @property
    def done(self) -> float:
        """The share of the work that a killed segmentation has left, from 0 to 1."""
        return self._fixed + (1 - self._share_of_statistics) * self._labelled / prod(self.plan.tiles.volume)

    def run(self, kept: NDArray[np.int16] | None = None, progress: Progress = lambda _: None) -> Segmented:
        """Do the work.

        Args:
            kept: class index ``(z, y, x)`` on `grid` of voxels that stay as annotated, `UNLABELED` elsewhere.
            progress: told how far it is.
        """
        progress(self.done)
        results = self._results()
        with ExitStack() as opened:
            self._compute(self._image(opened), results, progress)
        outcome, changes = self._post_processed(Outcome.of(results, self.volume.grid, self.grid))
        return Segmented(outcome, self._scheme, kept, changes)

    def _image(self, opened: ExitStack) -> Voxels:
        """The image; one that is resampled as it is read is so once, into a file, as it is read several times."""
        voxels: Voxels = self.volume.voxels
        if not isinstance(voxels, ResampledVoxels):
            return voxels
        if self._unfinished is not None:
            folder = self._unfinished.folder
        else:
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="unet3d_")))
        return opened.enter_context(scratch_copy(voxels, folder / "resampled.raw"))

    def _compute(self, image: Voxels, results: Results, progress: Progress) -> None:
        """What the tiles give."""
        tiles = self.plan.tiles
        predictors = [networks[0] if len(networks) == 1 else Ensemble(networks) for networks in self._networks]
        intensity = predictors[0].intensity(image)
        self._fix_moments(image, intensity, progress)
        share, done = self._share_of_statistics, self._labelled
        written = dict(self._unfinished.planes) if self._unfinished else {}

        def wrote(number: int, box: Box) -> None:
            nonlocal done
            done += prod(box.shape)
            if self._unfinished is not None:
                self._unfinished.wrote(number, box)
            progress(min(share + (1 - share) * done / prod(tiles.volume), 1.0))

        TileWork(image, tiles, intensity, results, wrote, written).run(predictors)

    def _check_post_processing(self) -> None:
        wanted = self._options.post_processing
        if not wanted.wanted:
            return
        background_of(self._scheme)
        wanted.fewest_voxels(self.grid)
        self.warnings += filter(None, [wanted.assumed_unit(self.grid)])

    @property
    def _budget(self) -> int:
        if self._options.memory is not None:
            return self._options.memory
        return default_budget() if self._devices == (None,) else int(0.9 * (gpu_memory() or 0))

    @property
    def _held(self) -> int:
        """Bytes that are taken beside the tiles: of this process, or, on GPUs, of their memory."""
        if self._devices != (None,):
            return 4 * sum(member.size.weights for member in self._members)
        in_memory = 0
        if self._in_memory:
            floats = self._scheme.classes * bool(self._options.probabilities) + self._options.computes_uncertainty
            voxels = sum(prod(shape) for shape in {self.volume.grid.shape, self.grid.shape})
            in_memory = voxels * (np.dtype(self._class_dtype).itemsize + 4 * floats)
        return held_memory() + in_memory

    @property
    def _normalizations(self) -> int:
        """How many normalisations are computed from what they are given: the most of any network."""
        return max(len(network.normalizations) for network in self._networks[0])

    def _networks_on(self, device: str | None) -> list[NetworkPredictor]:
        """All networks, and each for every way in which tiles are mirrored."""
        return [
            NetworkPredictor(
                network,
                member.size.geometry,
                precision=self.precision,
                mirrored=axes,
                device=device,
                intensities=member.intensities,
            )
            for member in self._members
            for network in [_on_device(member.network, device, several=len(self._devices) > 1)]
            for axes in self._axes
        ]

    def _make_plan(self) -> Plan:
        shape, budget, held = self.volume.grid.shape, self._budget, self._held
        self._check_memory_of_post_processing(budget, held)
        largest = max((member.size for member in self._members), key=lambda size: size.filters)
        demand = Demand(largest, self.precision, len(self._networks[0]), devices=len(self._devices))
        normalizations = self._normalizations
        if self._unfinished is not None and self._unfinished.plan is not None:
            return begun_plan(self._unfinished.plan, demand, budget, held, normalizations=normalizations)
        plan = choose_plan(
            shape, demand, budget, held, normalizations=normalizations, statistics=self._options.statistics
        )
        if self._unfinished is not None:
            self._unfinished.note_plan(plan.tiles)
        return plan

    def _check_memory_of_post_processing(self, budget: int, held: int) -> None:
        if not self._options.post_processing.wanted or self._devices != (None,):
            return
        shape = self.grid.shape
        read = 0 if self._in_memory else np.dtype(self._class_dtype).itemsize
        needed = held + prod(shape) * (BYTES_PER_VOXEL + read)
        if needed > budget:
            raise InputError(
                f"Components of {named(shape)} are found in memory, which takes {shown(needed, rounded_up=True)}; "
                f"{shown(budget)} may be taken. Give more (--memory), or leave out --largest-component, --min-size and "
                f"--fill-holes."
            )

    @property
    def _class_dtype(self) -> Any:
        return class_dtype(self._scheme.classes)

    def _results(self) -> Results:
        shape, classes = self.volume.grid.shape, self._scheme.classes

        def store(name: str, channels: tuple[int, ...], dtype: Any) -> Store:
            if self._unfinished is None:
                return HeldVoxels(np.empty((*shape, *channels), dtype))
            return self._unfinished.voxels(name, (*shape, *channels), dtype)

        return Results(
            store("classes", (), self._class_dtype),
            store("probabilities", (classes,), np.float32) if self._options.probabilities else None,
            store("uncertainty", (1,), np.float32) if self._options.computes_uncertainty else None,
        )

    @property
    def _labelled(self) -> int:
        """Voxels whose class is there already."""
        tiles, planes = self.plan.tiles, self._unfinished.planes if self._unfinished else {}
        return sum(count * prod(tiles[number].write.shape[1:]) for number, count in planes.items())

    @property
    def _share_of_statistics(self) -> float:
        """The share of the work that statistics of the volume are, 0 where none are gathered."""
        demand, tiles = self.plan.demand, self.plan.tiles
        return 1 - len(tiles) * float(replace(demand, passes=0).flop(tiles.tile)) / self.plan.flop

    @property
    def _fixed(self) -> float:
        """The share of the work that went into statistics which are there already."""
        if not self.plan.demand.passes or self._unfinished is None:
            return 0.0
        tiles, moments = self.plan.tiles, self._unfinished.moments
        flop = sum(
            float(size.flop_until(tiles.tile, normalization))
            for number, size in enumerate(self._sizes)
            for normalization in range(len(moments.get(str(number), {})))
        )
        return len(tiles) * flop / self.plan.flop

    def _fix_moments(self, image: Voxels, intensity: NDArray[np.float32], progress: Progress) -> None:
        """Fix the statistics of the volume, where they are wanted."""
        if not self.plan.demand.passes:
            return
        share, total = self._fixed, self.plan.flop

        def computed(flop: float) -> None:
            nonlocal share
            share += flop / total
            progress(min(share, 1.0))

        for number, first in enumerate(self._networks[0]):
            key = str(number)
            passes = MomentPasses(image, first, self.plan.tiles, self._sizes[number], progress=computed)
            known = self._unfinished.moments.get(key) if self._unfinished else None

            def note(fixed: Fixed, key: str = key) -> None:
                if self._unfinished is not None:
                    self._unfinished.note_moments(key, fixed)

            moments = passes.moments(intensity, known, note)
            for networks in self._networks:
                networks[number].moments = moments

    @property
    def _sizes(self) -> list[NetworkSize]:
        return [member.size for member in self._members for _ in self._axes]

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


def _common_axes(members: Sequence[Member]) -> tuple[int, ...]:
    """Axes that every member saw mirrored in training."""
    axes = tuple(number for number, axis in enumerate(AXES) if all(axis in member.mirrored_axes for member in members))
    if axes:
        return axes
    unmirrored = dict.fromkeys(member.name for member in members if not member.mirrored_axes)
    if unmirrored:
        raise InputError(
            f"{', '.join(unmirrored)}: {'was' if len(unmirrored) == 1 else 'were'} trained without mirrored tiles, "
            f"which {'it does' if len(unmirrored) == 1 else 'they do'} not know. Leave out --tta, or train with "
            f"mirroring."
        )
    raise InputError(
        f"{', '.join(dict.fromkeys(member.name for member in members))}: no axis was mirrored in the training of all. "
        f"Leave out --tta, or take models that were trained with the same mirroring."
    )


def _each_at_most(lengths: Sequence[int], longest: Sequence[int]) -> Triple:
    z, y, x = (min(pair) for pair in zip(lengths, longest, strict=True))
    return z, y, x


def _combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1)))


def _on_device(network: Any, device: str | None, *, several: bool) -> Any:
    """The network itself, or, where several devices compute, a copy whose variables lie on one."""
    if not several:
        return network
    import tensorflow as tf

    with tf.device(device):
        copy = clone(network)
        copy.set_weights(network.get_weights())
    return copy
