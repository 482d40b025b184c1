"""Settings in which nothing is left to decide."""

from pathlib import Path
from typing import Literal

from keras_unet3d.network.sizes import Padding
from keras_unet3d.training.settings import (
    LossSettings,
    NamedLevels,
    NamedSizes,
    NetworkSettings,
    Normalization,
    OptimizerSettings,
    Precision,
    Settings,
    read_settings,
    validated,
)


class ResolvedNetwork(NetworkSettings):
    """A network that can be built."""

    filters: int
    depth: int
    padding: Padding
    unpooled: NamedLevels
    normalization: Normalization


class ResolvedOptimizer(OptimizerSettings):
    """How weights are learned, with a learning rate."""

    learning_rate: float


class ResolvedLoss(LossSettings):
    """What is minimised, with class weights."""

    class_weights: Literal["balanced", "equal"] | dict[str, float]


class ResolvedSettings(Settings):
    """A training that can begin: what `Settings` leaves open is decided, by its user or `keras_unet3d.training.plan`.

    Of two ends, minutes and steps, one stays None, and `start` without a model to begin with.
    """

    tile: NamedSizes
    first_tile: NamedSizes
    batch_size: int
    recompute: bool
    precision: Precision
    network: ResolvedNetwork
    optimizer: ResolvedOptimizer
    loss: ResolvedLoss


def resolved(settings: Settings, where: str = "") -> ResolvedSettings:
    """Settings as resolved ones.

    Raises:
        InputError: if something is undecided, with its name, after `where`.
    """
    return validated(ResolvedSettings, settings.model_dump(exclude_none=True), where)


def read_resolved(path: Path) -> ResolvedSettings:
    """Read what was decided for a run.

    Raises:
        InputError: if the file is not of resolved settings.
    """
    return resolved(read_settings(path), f"{path}: ")
