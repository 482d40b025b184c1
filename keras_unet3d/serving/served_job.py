"""The segmentation of one volume by servers: plan → send tiles, and what `VolumeJob` does of what comes back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.inference.budget import default_budget, held_memory
from keras_unet3d.inference.delivery import HELD, Delivery
from keras_unet3d.inference.ensemble import Ensemble
from keras_unet3d.inference.mirrored_axes import axis_combinations, common_axes
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.inference.planning import Plan
from keras_unet3d.inference.predictor import Predictor
from keras_unet3d.inference.segmentation import tiles_matter
from keras_unet3d.inference.volume_job import VolumeJob
from keras_unet3d.serving.client import Client
from keras_unet3d.serving.export import MEMORY_OF_A_SERVED_TILE
from keras_unet3d.serving.served_plan import Serving
from keras_unet3d.serving.served_predictor import ServedPredictor
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.volume import Volume


@dataclass(frozen=True)
class _Named:
    """A served model among others that are mirrored."""

    name: str
    mirrored_axes: tuple[str, ...]


class ServedJob(VolumeJob):
    """Everything that is decided before the work, and the work, by servers."""

    def __init__(self, volume: Volume, client: Client, options: SegmentOptions, delivery: Delivery = HELD) -> None:
        """Plan.

        Args:
            volume: as for `VolumeJob`.
            client: of the model.
            options: of the user.
            delivery: where results go.

        Raises:
            InputError: if the options cannot be met; no tile was sent.
        """
        description = client.description
        super().__init__(volume, options, description.scheme, delivery)
        self._client = client
        if options.precision == "bfloat16":
            raise InputError("A server computes in the precision of its model, float32. Leave out --precision.")
        self.precision = "float32"
        self._axes = (
            axis_combinations(common_axes([_Named(client.path, description.mirrored_axes)]))
            if options.mirrored
            else [()]
        )
        self.plan = self._make_plan()
        self.statistics = options.statistics if description.tile_dependent else "moving"
        if description.tile_dependent and len(self.plan.tiles) > 1:
            self._check_tiles_matter()

    @property
    def seconds(self) -> float:
        """How long the servers will take for all tiles, from how long one takes for one."""
        predictor, tile = self._predictors()[0], self.plan.tiles.tile
        channels = len(self._client.description.channels)
        taken = []
        for _ in range(2):  # the first may have to be compiled
            start = time.perf_counter()
            stream = predictor.start(np.ones((channels, 2), np.float32))
            stream.push(np.zeros((*tile, channels), np.float32), last=True)
            taken.append(time.perf_counter() - start)
        return min(taken) * -(-len(self.plan.tiles) // len(self._client.servers))

    def _predictors(self) -> Sequence[Predictor]:
        """One for each request at a time."""
        requests = min(len(self._client.servers) * self._client.access.in_flight, len(self.plan.tiles))
        each: list[list[Predictor]] = [
            [ServedPredictor(self._client, axes) for axes in self._axes] for _ in range(requests)
        ]
        return [mirrored[0] if len(mirrored) == 1 else Ensemble(mirrored) for mirrored in each]

    def _make_plan(self) -> Plan:
        description, access = self._client.description.with_tile(MEMORY_OF_A_SERVED_TILE), self._client.access
        if description.tile is None:
            raise ValueError("The description has no tile.")
        budget = self._options.memory if self._options.memory is not None else default_budget()
        held = held_memory() + self._held_results
        self._check_memory_of_post_processing(budget, held)
        serving = Serving(
            description.size,
            description.members * len(self._axes),
            description.tile,
            len(self._client.servers),
            access.in_flight,
            access.largest_message,
        )
        if self._kept is not None and self._kept.plan is not None:
            begun = serving.begun_plan(self._kept.plan, budget, held)
            self._check_memory_of_begun(begun, held)
            return begun
        return serving.plan(self.volume.grid.shape, budget, held, workers=self._workers)

    def _check_tiles_matter(self) -> None:
        """Statistics of several tiles are not those of the volume, and a server gives no others for tiles."""
        if self._options.statistics == "current":
            self.warnings.append(tiles_matter(self.plan.tiles))
            return
        raise InputError(
            f"{self._client.path}: normalises by the statistics of what it is given, and this volume is sent in "
            f"{len(self.plan.tiles)} tiles ({named(self.plan.tiles.counts)}). Segment it without --server, or ask for "
            f"the statistics of each tile, which can leave seams: --statistics current."
        )
