"""Settings in which nothing is left to decide."""

from pathlib import Path
from typing import Literal

from keras_unet3d.network.sizes import Padding
from keras_unet3d.training.sampling import Sampling
from keras_unet3d.training.schedule import Schedule
from keras_unet3d.training.settings import (
    Depth,
    DiceWeight,
    Filters,
    LearningRate,
    LossSettings,
    NamedLevels,
    NamedSizes,
    NetworkSettings,
    Normalization,
    OptimizerName,
    OptimizerSettings,
    Precision,
    Settings,
    Tiles,
    read_settings,
    validated,
)


class ResolvedNetwork(NetworkSettings):
    """A network that can be built."""

    filters: Filters
    depth: Depth
    padding: Padding
    unpooled: NamedLevels
    normalization: Normalization


class ResolvedOptimizer(OptimizerSettings):
    """How weights are learned, all said."""

    name: OptimizerName
    schedule: Schedule
    learning_rate: LearningRate


class ResolvedLoss(LossSettings):
    """What is minimised, all said."""

    dice: DiceWeight
    class_weights: Literal["balanced", "equal"] | dict[str, float]


class ResolvedSettings(Settings):
    """A training that can begin: what `Settings` leaves open is decided, by its user or `keras_unet3d.training.plan`.

    Of two ends, minutes and steps, one stays None, and `start` without a model to begin with. Displacements without a
    standard deviation have the paper's, and without a working spacing nothing is resampled.
    """

    tile: NamedSizes
    first_tile: NamedSizes
    batch_size: Tiles
    recompute: bool
    sampling: Sampling
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
