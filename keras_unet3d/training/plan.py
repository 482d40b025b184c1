"""What nobody set is decided from the data and the machine, and every decision says why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, prod
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from keras_unet3d.augmentation.settings import PAPER_SIGMA
from keras_unet3d.errors import InputError
from keras_unet3d.network.sizes import PAPER_DEPTH, Geometry, Padding
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.training.pooling import choose_depth, choose_unpooled
from keras_unet3d.training.resolved import ResolvedSettings, resolved
from keras_unet3d.training.sampling import Labelled
from keras_unet3d.training.settings import Settings
from keras_unet3d.training.step_memory import must_recompute, step_memory
from keras_unet3d.training.tile_choice import PAPER_TILE, TileChoice, choose_tile, usual_tile
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Triple
from keras_unet3d.wording import counted

CPU_TILE_VOXELS = 128_000
"""Zero-padded tiles on a CPU: about as many voxels as 40×64×48, so that a step with 16 filters takes about a second."""
GPU_TILE_VOXELS = 1_000_000
FINE = 0.2
"""Of the usual learning rate, where training begins with a model."""
SIGMA_OF_EDGE = 0.038
"""Displacement at a control point as a share of the mean edge of a volume."""
BFLOAT16_FILTERS = 8
"""Base filters of a network that is trained in bfloat16, at least: with 2, on a CPU, losses stopped being numbers."""
HELD, HOLDING = 0.8, 0.9
"""A tile holds whole volumes where it holds the typical one, and of nine in ten at least four fifths of each edge: few
cases of the hippocampus are longer than their tile, by less than that."""
FIRST_TILE_SHARE = 0.375
"""Of the voxels of a tile, those of the tiles that training begins with, at most."""
SHORT_MINUTES = 20.0
"""With less time than this on a CPU, more steps of a narrower network learn more."""


@dataclass(frozen=True)
class Decision:
    """One setting that was decided, and why."""

    setting: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.setting} = {self.value}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Situation:
    """What is decided from.

    Attributes:
        given: settings as the user gave them.
        volumes: to learn from.
        spacing: the median distance between voxel centres along z, y, x.
        has_gpu: whether TensorFlow sees a GPU.
        devices: that share each step.
        memory: bytes that a step may take on one of them.
        bfloat16: whether they compute faster in it.
    """

    given: Settings
    volumes: Sequence[Labelled]
    spacing: tuple[float, float, float]
    has_gpu: bool
    devices: int
    memory: float
    bfloat16: bool

    @cached_property
    def lengths(self) -> NDArray[np.integer]:
        """Voxels of each volume along z, y, x."""
        return np.array([volume.class_index.shape for volume in self.volumes])

    @cached_property
    def typical(self) -> list[int]:
        """Of the median volume."""
        return [int(length) for length in np.median(self.lengths, axis=0)]

    @property
    def size(self) -> str:
        """The same, for people."""
        return named(self.typical)

    @property
    def parts(self) -> int:
        """Of a batch, each of which a device computes at once."""
        return self.devices * self.given.accumulate

    @property
    def tile_voxels(self) -> int:
        """Of a zero-padded tile, at most."""
        return GPU_TILE_VOXELS if self.has_gpu else CPU_TILE_VOXELS


def resolve(
    settings: Settings,
    volumes: Sequence[Labelled],
    spacing: tuple[float, float, float],
    *,
    has_gpu: bool,
    devices: int = 1,
    memory: float = inf,
    bfloat16: bool = False,
) -> tuple[ResolvedSettings, list[Decision]]:
    """Decide everything that is None, one after the other: each choice sees those before it.

    Args:
        settings: as the user gave them.
        volumes: to learn from.
        spacing: the median distance between voxel centres along z, y, x.
        has_gpu: whether TensorFlow sees a GPU.
        devices: that share each step.
        memory: bytes that a step may take on one of them.
        bfloat16: whether they compute faster in it.

    Returns:
        Settings in which nothing is left to decide, and the decisions that were taken, in order.

    Raises:
        InputError: if the tile that is set fits no such network, the precision is not to be had here, or the batch
            cannot be shared.
    """
    _check_precision(settings, has_gpu=has_gpu)
    if settings.batch_size is not None:
        check_shares(settings, settings.batch_size, devices)
    situation = Situation(settings, volumes, spacing, has_gpu, devices, memory, bfloat16)
    decisions = []
    for setting, choose in _CHOICES:
        if attrgetter(setting)(settings) is None:
            value, reason = choose(settings, situation)
            settings = _with(settings, setting, value)
            if reason:
                decisions.append(Decision(setting, _shown(value), reason))
    whole = resolved(_with(settings, "network.unpooled", settings.network.geometry.unpooled))
    check_shares(whole, whole.batch_size, devices)
    return whole, decisions


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return named(value) if isinstance(value, tuple) else str(value)


def _with(settings: Settings, setting: str, value: Any) -> Settings:
    """Another value of a setting, whose name may have a dot."""
    *tables, leaf = setting.split(".")
    changes = {leaf: value}
    for table in tables:
        before = getattr(settings, table)
        after = before.model_copy(update=changes) if isinstance(before, BaseModel) else replace(before, **changes)
        changes = {table: after}
    return settings.model_copy(update=changes)


def _size_of_network(settings: Settings) -> NetworkSize:
    """How much it computes; which image and how many classes hardly matters."""
    return NetworkSize(settings.network.geometry, settings.network.filters or 0, 1, 2)


def _check_precision(settings: Settings, *, has_gpu: bool) -> None:
    if settings.precision == "mixed_float16" and not has_gpu:
        raise InputError(
            "precision = 'mixed_float16' needs a GPU, and TensorFlow sees none: it has no pooling of volumes in "
            "float16 on the CPU. Train with 'float32', or with 'mixed_bfloat16'."
        )


_ADAM_RATE = 5e-3, "normalised networks learn fast with Adam"
_SGD_RATE = 1e-2, "what SGD with momentum usually takes"
UNNORMALISED = 0.2
"""Of those rates, where nothing is normalised: large steps undo what was learned."""


def _precision(settings: Settings, situation: Situation) -> tuple[str, str]:
    if not situation.bfloat16:
        return "float32", "this machine does not compute faster in bfloat16"
    if (settings.network.filters or 0) < BFLOAT16_FILTERS:
        return "float32", f"with fewer than {BFLOAT16_FILTERS} filters bfloat16 is not exact enough to learn in"
    return "mixed_bfloat16", "this machine computes faster in bfloat16, so that it takes more steps"


def _sigma(_settings: Settings, situation: Situation) -> tuple[float, str]:
    """In proportion to the mean edge of a volume, up to the paper's."""
    edge = prod(situation.typical) ** (1 / 3)
    sigma = min(PAPER_SIGMA, round(SIGMA_OF_EDGE * edge, 1))
    if sigma == PAPER_SIGMA:
        return sigma, "voxels, the paper's"
    share = f"{SIGMA_OF_EDGE:.1%} of the mean edge of a volume of about {situation.size}"
    return sigma, f"voxels, {share}; the paper's {PAPER_SIGMA:g} suit larger ones"


def _sampling(_settings: Settings, _situation: Situation) -> tuple[str, str]:
    return "classes", "each is met equally often, small ones, too, and no tile is without a label"


def _optimizer(_settings: Settings, _situation: Situation) -> tuple[str, str]:
    return "adam", "it learns most in a short time"


def _schedule(_settings: Settings, _situation: Situation) -> tuple[str, str]:
    return "polynomial", "(1 − progress)^0.9, by the clock or by steps: it ends when they do"


def _dice(_settings: Settings, _situation: Situation) -> tuple[float, str]:
    return 1.0, "soft Dice beside cross entropy: what is wrong about a small class counts as much as about a large one"


def _class_weights(settings: Settings, _situation: Situation) -> tuple[str, str]:
    if settings.loss.dice:
        return (
            "equal",
            "soft Dice weighs small classes as much as large ones already, and tiles meet each equally often",
        )
    return "balanced", "cross entropy alone would give up small classes, though tiles meet each equally often"


def _rate(settings: Settings, _situation: Situation) -> tuple[float, str]:
    rate, reason = _SGD_RATE if settings.optimizer.name == "sgd" else _ADAM_RATE
    if settings.network.normalization == "none":
        rate, reason = rate * UNNORMALISED, f"a {1 / UNNORMALISED:g}th of the usual: nothing is normalised"
    if settings.start is None:
        return rate, reason
    return rate * FINE, f"a {1 / FINE:g}th of the usual: training begins with a model that knows something"


def _filters(settings: Settings, situation: Situation) -> tuple[int, str]:
    if situation.has_gpu:
        return 32, "the paper's, on a GPU"
    if settings.minutes is not None and settings.minutes < SHORT_MINUTES:
        return 8, f"{settings.minutes:g} minutes on a CPU: more steps of a narrow network learn more"
    return 16, "half the paper's: a CPU takes four times as many steps in the same time"


def _depth(settings: Settings, situation: Situation) -> tuple[int, str]:
    if settings.tile is not None:
        return PAPER_DEPTH, f"the paper's, for the tile that is set, {named(settings.tile)}"
    if settings.network.unpooled is not None:
        return PAPER_DEPTH, "the paper's, for the levels that are set not to pool"
    return choose_depth(situation.typical[_first_axis(settings) :])


def _first_axis(settings: Settings) -> int:
    """A 2D network sees nothing along z, so that nothing is decided by it."""
    return 3 - settings.network.dimensions


def _unpooled(settings: Settings, situation: Situation) -> tuple[Triple, str]:
    network, tile = settings.network, settings.tile
    depth = network.geometry.depth
    first = _first_axis(settings)
    levels, reason = choose_unpooled(situation.typical[first:], situation.spacing[first:], depth)
    z, y, x = (*[depth] * first, *levels)
    unpooled: Triple = (z, y, x)
    paddings: list[Padding] = [network.padding] if network.padding else ["valid", "same"]

    def fits(levels: Triple) -> bool:
        return tile is None or any(
            Geometry(padding, depth, levels, network.dimensions).takes(tile) for padding in paddings
        )

    if tile is not None and fits((0, 0, 0)) and not fits(unpooled):
        return (0, 0, 0), f"the tile that is set, {named(tile)}, fits no other"
    return unpooled, reason


def _padding(settings: Settings, situation: Situation) -> tuple[Padding, str]:
    padding, reason = _usual_padding(settings, situation)
    other: Padding = "same" if padding == "valid" else "valid"
    if settings.tile is not None and not _takes(padding, settings) and _takes(other, settings):
        return other, f"the tile that is set, {named(settings.tile)}, fits no other"
    return padding, reason


def _batch_size(settings: Settings, situation: Situation) -> tuple[int, str]:
    parts = situation.parts
    if settings.network.padding == "same":
        return 2 * parts, f"two small tiles a step{_each(parts)} steady the gradient"
    return parts, f"one large tile a step{_each(parts)}, as in the paper"


def _tile(settings: Settings, situation: Situation) -> tuple[Triple, str]:
    size, tiles = _size_of_network(settings), _tiles(settings, situation)

    def fits(tile: Any) -> Any:
        return step_memory(settings, size, tile, tiles, recompute=True) <= situation.memory

    about = f"volumes of about {situation.size}"
    if size.geometry.padding == "valid":
        choice = choose_tile(situation.volumes, situation.spacing, size, fits=fits)
        return choice.tile, f"{about}, {_why_tile(choice, size.geometry)}"
    limit, where = situation.tile_voxels, "a GPU" if situation.has_gpu else "a CPU"
    tile = usual_tile(situation.typical, situation.spacing, size.geometry, limit, fits=fits)
    return tile, f"{about}, at most {limit:,} voxels on {where}, edges of about equal length in space"


def _first_tile(settings: Settings, situation: Situation) -> tuple[Triple, str]:
    """A smaller one where a tile that was decided holds whole volumes; else the tile itself."""
    tile = settings.tile or (0, 0, 0)
    if situation.given.tile is None and _holds_volumes(settings, situation):
        limit = int(FIRST_TILE_SHARE * prod(tile))
        smaller = usual_tile(situation.typical, situation.spacing, settings.network.geometry, limit)
        times = prod(tile) / prod(smaller)
        if times > 1:
            many = f"{times:.2g} times as many for the same work"
            return smaller, f"a tile holds a whole volume; in the first half, parts of it, {many}"
    return tile, ""


def _tiles(settings: Settings, situation: Situation) -> int:
    """That a device computes at once."""
    return (settings.batch_size or 1) // situation.parts


def _recompute(settings: Settings, situation: Situation) -> tuple[bool, str]:
    size, tile, tiles = _size_of_network(settings), settings.tile or (0, 0, 0), _tiles(settings, situation)
    why = must_recompute(settings, size, tile, tiles, situation.memory)
    return why is not None, why or ""


def _each(parts: int) -> str:
    return "" if parts == 1 else f" for each of {parts} devices, or parts of a batch,"


def check_shares(settings: Settings, batch_size: int, devices: int) -> None:
    """See whether so many devices can share a batch.

    Raises:
        InputError: if they cannot.
    """
    parts = devices * settings.accumulate
    if batch_size % parts:
        raise InputError(
            f"batch_size = {batch_size} cannot be shared equally by {counted(devices, 'device')} in "
            f"{counted(settings.accumulate, 'part')}: take a multiple of {parts}."
        )
    if devices > 1 and settings.precision == "mixed_float16":
        raise InputError(
            "precision = 'mixed_float16' works on one device only: the scale of its loss is not shared. Train with "
            "'mixed_bfloat16', or on one device: --devices one, without TF_CONFIG and srun."
        )


def _takes(padding: Padding, settings: Settings) -> bool:
    geometry = settings.network.model_copy(update={"padding": padding}).geometry
    return settings.tile is None or geometry.takes(settings.tile)


def _usual_padding(settings: Settings, situation: Situation) -> tuple[Padding, str]:
    first, typical, size = _first_axis(settings), situation.typical, situation.size
    large = all(length >= paper for length, paper in zip(typical[first:], PAPER_TILE[first:], strict=True))
    if large:
        return "valid", f"volumes of about {size} hold the paper's tile, {named(PAPER_TILE)}: no border is invented"
    return "same", f"volumes of about {size} are smaller than the paper's tile, {named(PAPER_TILE)}"


def _normalization(settings: Settings, situation: Situation) -> tuple[str, str]:
    if _holds_volumes(settings, situation):
        return (
            "instance",
            f"a tile holds a whole volume of about {situation.size}: each is normalised by its own statistics",
        )
    return "batch", "as in the paper; its statistics are fixed after training, so that tiles leave no seams"


def _holds_volumes(settings: Settings, situation: Situation) -> bool:
    """Whether a tile holds the typical volume, and of nearly all the others nearly all."""
    tile = np.array(settings.tile)
    held = (tile >= HELD * situation.lengths).all(axis=1).mean()
    return settings.network.padding == "same" and bool((tile >= situation.typical).all() and held >= HOLDING)


def _why_tile(choice: TileChoice, geometry: Geometry) -> str:
    """Of an unpadded one."""
    returned = geometry.output_lengths(choice.tile)
    labels = f"in which about {choice.labelled:,.0f} of {prod(returned):,} voxels are labelled on the average"
    if choice.tile != choice.usual:
        return (
            f"and labels where they are: {choice.gain:.2g} times as many labelled voxels for the same work as with "
            f"{named(choice.usual)}. It returns {named(returned)}, {labels}"
        )
    smaller = f"a tile no larger than the paper's, {named(PAPER_TILE)}"
    whose = "the paper's tile" if choice.tile == PAPER_TILE else smaller
    return f"and {whose}, which returns {named(returned)}, {labels}"


_CHOICES: tuple[tuple[str, Callable[[Settings, Situation], tuple[Any, str]]], ...] = (
    ("network.filters", _filters),
    ("optimizer.name", _optimizer),
    ("precision", _precision),
    ("network.depth", _depth),
    ("network.unpooled", _unpooled),
    ("network.padding", _padding),
    ("batch_size", _batch_size),
    ("tile", _tile),
    ("first_tile", _first_tile),
    ("network.normalization", _normalization),
    ("sampling", _sampling),
    ("augmentation.displacement_sigma", _sigma),
    ("loss.dice", _dice),
    ("loss.class_weights", _class_weights),
    ("optimizer.learning_rate", _rate),
    ("optimizer.schedule", _schedule),
    ("recompute", _recompute),
)
"""In the order in which they are chosen. A choice without a reason is not said."""
