"""What outlives the process that segments: what was decided and computed already, and where results go."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.results import Store
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.volumes.box import Box


class KeptWork(Protocol):
    """A hidden folder beside an output, of one process (`Unfinished`) or of several (`SharedWork`)."""

    folder: Path
    """Of all that is not whole yet."""

    @property
    def workers(self) -> int | None:
        """How many processes a plan is to be made for; None: no other one shares the volume."""

    @property
    def plan(self) -> TilePlan | None:
        """The tiles, once they are decided."""

    @property
    def intensity(self) -> NDArray[np.float32] | None:
        """Offset and scale ``(channel, 2)`` of the volume, once they are known."""

    @property
    def moments(self) -> Mapping[str, Fixed]:
        """Of normalisations, as far as they are fixed, by network and by name."""

    @property
    def planes(self) -> Mapping[int, int]:
        """Written planes of each tile, by its number."""

    def keep_plan(self, plan: TilePlan) -> None:
        """Keep the tiles, before the first is computed."""

    def note_intensity(self, intensity: NDArray[np.float32]) -> None:
        """Keep the offset and scale of the volume."""

    def note_moments(self, network: str, fixed: Fixed) -> None:
        """Keep the moments of a network that are fixed so far."""

    def voxels(self, name: str, shape: Sequence[int], dtype: DTypeLike) -> Store:
        """Where a result of this name goes."""

    def wrote(self, number: int, box: Box) -> None:
        """Hear that a box of a tile was written to every result, behind those before it."""
