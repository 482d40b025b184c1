"""The segmentation of one volume by networks of this process: plan → predict, and what `VolumeJob` does of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.inference.budget import default_budget, held_memory
from keras_unet3d.inference.delivery import HELD, Delivery
from keras_unet3d.inference.devices import chosen_precision, devices, gpu_memory
from keras_unet3d.inference.ensemble import Ensemble
from keras_unet3d.inference.mirrored_axes import axis_combinations, common_axes
from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.plan_choice import advice, begun_plan, choose_plan
from keras_unet3d.inference.planning import Demand, Plan
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.statistics import MomentPasses
from keras_unet3d.inference.volume_job import Progress, VolumeJob
from keras_unet3d.network.clones import clone
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.intensity import PER_VOLUME, Intensities
from keras_unet3d.volumes.layers import column_bytes
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import Voxels


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


class SegmentationJob(VolumeJob):
    """Everything that is decided before the work, and the work, by networks of this process."""

    def __init__(
        self,
        volume: Volume,
        members: Sequence[Member],
        options: SegmentOptions,
        scheme: LabelScheme,
        delivery: Delivery = HELD,
    ) -> None:
        """Plan.

        Args:
            volume: raw ``(z, y, x, channel)``, in memory or in a file; `ResampledVoxels` are made once, when it runs.
            members: of one geometry, for the classes of `scheme`.
            options: of the user.
            scheme: of the labels.
            delivery: where results go.

        Raises:
            InputError: if the options cannot be met; nothing was computed.
        """
        super().__init__(volume, options, scheme, delivery)
        self._members = members
        self._devices = devices()
        agrees = all(member.bfloat16_agrees for member in members)
        self.precision = chosen_precision(options.precision, agrees=agrees, names=self._devices)
        self._axes = axis_combinations(common_axes(members)) if options.mirrored else [()]
        self._networks = [self._networks_on(device) for device in self._devices]
        self.statistics = options.statistics if self._normalizations else "moving"
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
    def _budget(self) -> int:
        if self._options.memory is not None:
            return self._options.memory
        return default_budget() if self._devices == (None,) else int(0.9 * (gpu_memory() or 0))

    @property
    def _held(self) -> int:
        """Bytes that are taken beside the tiles: of this process, or, on GPUs, of their memory."""
        if self._devices != (None,):
            return 4 * sum(member.size.weights for member in self._members)
        return held_memory() + self._held_results

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
        if self._devices == (None,):
            self._check_memory_of_post_processing(budget, held)
        largest = max((member.size for member in self._members), key=lambda size: size.filters)
        column = column_bytes(self.volume.voxels) if self._devices == (None,) else 0  # else a GPU's memory is planned
        demand = Demand(largest, self.precision, len(self._networks[0]), devices=len(self._devices), column=column)
        normalizations = self._normalizations
        if self._kept is not None and self._kept.plan is not None:
            begun = begun_plan(self._kept.plan, demand, budget, held, normalizations=normalizations)
            self._check_memory_of_begun(begun, held)
            return begun
        return choose_plan(
            shape,
            demand,
            budget,
            held,
            normalizations=normalizations,
            statistics=self._options.statistics,
            workers=self._workers,
        )

    def _predictors(self) -> Sequence[Predictor]:
        """One for each device."""
        return [networks[0] if len(networks) == 1 else Ensemble(networks) for networks in self._networks]

    @property
    def _share_of_preparation(self) -> float:
        """The share of the work that statistics of the volume are, 0 where none are gathered."""
        demand, tiles = self.plan.demand, self.plan.tiles
        return 1 - len(tiles) * float(replace(demand, passes=0).flop(tiles.tile)) / self.plan.flop

    @property
    def _prepared(self) -> float:
        """The share of the work that went into statistics which are there already."""
        if not self.plan.demand.passes or self._kept is None:
            return 0.0
        tiles, moments = self.plan.tiles, self._kept.moments
        flop = sum(
            float(size.flop_until(tiles.tile, normalization))
            for number, size in enumerate(self._sizes)
            for normalization in range(len(moments.get(str(number), {})))
        )
        return len(tiles) * flop / self.plan.flop

    def _prepare(self, image: Voxels, intensity: NDArray[np.float32], progress: Progress) -> None:
        """Fix the statistics of the volume, where they are wanted."""
        if not self.plan.demand.passes:
            return
        share, total = self._prepared, self.plan.flop

        def computed(flop: float) -> None:
            nonlocal share
            share += flop / total
            progress(min(share, 1.0))

        for number, first in enumerate(self._networks[0]):
            key = str(number)
            passes = MomentPasses(image, first, self.plan.tiles, self._sizes[number], progress=computed)
            known = self._kept.moments.get(key) if self._kept else None

            def note(fixed: Fixed, key: str = key) -> None:
                if self._kept is not None:
                    self._kept.note_moments(key, fixed)

            moments = passes.moments(intensity, known, note)
            for networks in self._networks:
                networks[number].moments = moments

    @property
    def _sizes(self) -> list[NetworkSize]:
        return [member.size for member in self._members for _ in self._axes]


def _each_at_most(lengths: Sequence[int], longest: Sequence[int]) -> Triple:
    z, y, x = (min(pair) for pair in zip(lengths, longest, strict=True))
    return z, y, x


def _on_device(network: Any, device: str | None, *, several: bool) -> Any:
    """The network itself, or, where several devices compute, a copy whose variables lie on one."""
    if not several:
        return network
    import tensorflow as tf

    with tf.device(device):
        copy = clone(network)
        copy.set_weights(network.get_weights())
    return copy
