"""Everything that can be set for a training, as one validated tree.

What is None is decided from the data and the machine (`keras_unet3d.training.plan`); the resolved tree, without any
None, is saved beside the model and is itself a valid ``--config``.
"""

import tomllib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.errors import InputError
from keras_unet3d.network.sizes import PAPER_DEPTH, Dimensions, Geometry, Padding
from keras_unet3d.training.presets import PRESETS, Preset
from keras_unet3d.training.sampling import Sampling
from keras_unet3d.training.schedule import Schedule
from keras_unet3d.volumes.axes import AXES, named, parse_named
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.intensity import Intensities, Window
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.whole_file import written_whole


def _read_sizes(value: Any) -> Any:
    return tuple(int(size) for size in parse_named(value, minimum=1)) if isinstance(value, str) else value


NamedSizes = Annotated[Triple, BeforeValidator(_read_sizes), PlainSerializer(named)]
"""Sizes along z, y, x; written ``"x=64 y=64 z=32"``."""


def _read_levels(value: Any) -> Any:
    return parse_named(value, missing=0) if isinstance(value, str) else value


NamedLevels = Annotated[Triple, BeforeValidator(_read_levels), PlainSerializer(named)]
"""Levels of the network along z, y, x; written ``"x=0 y=0 z=1"``, or ``"z=1"``."""


def _read_window(value: Any) -> Any:
    """A window as people write it, ``"-160 240"`` or ``[-160, 240]``, or as a resolved one is saved."""
    if value == "volume" or isinstance(value, Window):
        return value
    try:
        if isinstance(value, dict):
            return Window(**{name: float(number) for name, number in value.items()})
        low, high = (float(number) for number in (value.split() if isinstance(value, str) else value))
    except (TypeError, ValueError):
        low = high = inf
    if not -inf < low < high < inf:
        raise ValueError(f"expected a low and a high number, such as '-160 240', or 'volume'. Received: {value!r}")
    return low, high


def _write_window(window: Any) -> Any:
    return asdict(window) if isinstance(window, Window) else window


ChannelWindow = Annotated[
    Window | tuple[float, float] | Literal["volume"], PlainValidator(_read_window), PlainSerializer(_write_window)
]
"""A resolved window, one of which only the bounds are set, or none."""


def _read_spacing(value: Any) -> Any:
    return Spacing.parse(value) if isinstance(value, str) and value != "none" else value


WorkingSpacing = Annotated[Spacing | Literal["none"], BeforeValidator(_read_spacing), PlainSerializer(str)]
"""A distance between voxels, ``"x=1 y=1 z=2.5 mm"``; ``"none"`` leaves cases as they are."""
Devices = Literal["one", "all"]
"""Of this machine, that share each step."""
AugmentOn = Literal["auto", "cpu", "device"]
"""Where images of tiles are made."""
Filters = Annotated[int, Field(ge=1, le=256)]
Depth = Annotated[int, Field(ge=1, le=5)]
Tiles = Annotated[int, Field(ge=1)]
LearningRate = Annotated[float, Field(gt=0)]
OptimizerName = Literal["adam", "sgd"]
DiceWeight = Annotated[float, Field(ge=0)]
Normalization = Literal["batch", "group", "instance", "none"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
"""Of the computation, a Keras dtype policy."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSettings(_Settings):
    """The network. `build_unet3d` says what each means."""

    filters: Filters | None = None
    depth: Depth | None = None
    padding: Padding | None = None
    unpooled: NamedLevels | None = None
    dimensions: Dimensions = 3
    normalization: Normalization | None = None
    statistics: Literal["moving", "current"] = "moving"

    @property
    def geometry(self) -> Geometry:
        """Sizes that the network takes, by what is decided of it."""
        depth = self.depth or PAPER_DEPTH
        return Geometry(self.padding or "valid", depth, self.unpooled or (0, 0, 0), self.dimensions)

    @model_validator(mode="after")
    def _levels_exist(self) -> Self:
        _ = self.geometry
        return self


class IntensitySettings(_Settings):
    """What becomes of raw intensities.

    Attributes:
        windows: by the name of the channel: ``"low high"``, raw numbers that mean the same in every volume; values
            beyond are drawn in to them, and offset and scale are fixed, too. ``"volume"`` has a channel measured in
            each volume. A channel that is not named gets a window from the data where it is called CT, else none.
    """

    windows: dict[str, ChannelWindow] = {}

    @property
    def resolved_windows(self) -> dict[str, Window]:
        """Of the channels that have one."""
        return {name: window for name, window in self.windows.items() if isinstance(window, Window)}

    def of(self, channels: Sequence[str]) -> Intensities:
        """The same, by the number of the channel."""
        windows = self.resolved_windows
        return Intensities({number: windows[name] for number, name in enumerate(channels) if name in windows})


class OptimizerSettings(_Settings):
    """How weights are learned.

    Attributes:
        name: ``"adam"``, or ``"sgd"`` with momentum as in the paper.
        learning_rate: at the start.
        momentum: of SGD.
        schedule: how the learning rate falls over the budget: ``"polynomial"`` is (1 − progress)^0.9.
        warm_up_steps: over which the learning rate rises at first.
        clip_norm: gradients longer than this are shortened to it; 0 leaves all as they are.
    """

    name: OptimizerName | None = None
    learning_rate: LearningRate | None = None
    momentum: float = Field(0.99, ge=0, lt=1)
    schedule: Schedule | None = None
    warm_up_steps: int = Field(20, ge=0)
    clip_norm: float = Field(12.0, ge=0)


class LossSettings(_Settings):
    """What is minimised.

    Attributes:
        dice: how much soft Dice counts beside weighted cross entropy.
        class_weights: of the cross entropy: ``"balanced"``, from the labelled voxels; ``"equal"``; or a weight for each
            class name. None is equal where soft Dice counts, in which classes weigh the same whatever their size.
    """

    dice: DiceWeight | None = None
    class_weights: Literal["balanced", "equal"] | dict[str, float] | None = None


class Settings(_Settings):
    """A training.

    Attributes:
        minutes: time from the call to the exported model; reading and validating count.
        steps: bounded by steps instead; then the result does not depend on the machine's speed.
        seed: decides every random number, together with step and index.
        start: the folder of a model whose weights training begins with; None begins anew.
        working_spacing: that all cases are resampled to, and images that are segmented; without a unit, in that of the
            data. ``"none"`` resamples nothing. None is the median where cases differ.
        tile: the network's input.
        first_tile: a smaller one, in the first half of the work; the same as `tile` where there is none. None decides.
        batch_size: tiles per step, those of all devices together.
        accumulate: parts that a batch is computed in, one after the other, where memory does not hold it at once; their
            gradients add up. Batch normalisation and soft Dice are those of each part.
        recompute: compute the inside of each level again when its gradient is due instead of holding it: up to a third
            more work for less memory. None is where memory forces it.
        devices: that share each step: ``"one"``, or ``"all"`` GPUs of this machine.
        sampling: what tiles meet equally often: each of the ``"classes"``, or all labelled ``"voxels"``.
        hold_out: what validation is done on.
        precision: of the computation; weights are float32 always. None is bfloat16 where it is faster, else float32.
        engine: of the augmentation.
        augment_on: where images of tiles are made: on threads of the ``"cpu"``, ahead of the step, or within the step
            on its ``"device"``. ``"auto"`` begins with the first; where a GPU waits for them, it measures which is
            faster.
    """

    minutes: float | None = Field(30.0, gt=0)
    steps: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    start: str | None = None
    working_spacing: WorkingSpacing | None = None
    tile: NamedSizes | None = None
    first_tile: NamedSizes | None = None
    batch_size: Tiles | None = None
    accumulate: int = Field(1, ge=1)
    recompute: bool | None = None
    devices: Devices = "one"
    sampling: Sampling | None = None
    hold_out: Literal["auto", "cases", "slices", "nothing"] = "auto"
    precision: Precision | None = None
    engine: Literal["auto", "compiled", "elasticdeform"] = "auto"
    augment_on: AugmentOn = "auto"
    intensity: IntensitySettings = IntensitySettings()
    network: NetworkSettings = NetworkSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    loss: LossSettings = LossSettings()
    augmentation: AugmentationSettings = AugmentationSettings()

    @model_validator(mode="before")
    @classmethod
    def _steps_replace_usual_minutes(cls, data: Any) -> Any:
        return {"minutes": None, **data} if isinstance(data, dict) and data.get("steps") else data

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.minutes is None and self.steps is None:
            raise ValueError("a training needs an end: give minutes or steps")
        if None not in (self.minutes, self.steps):
            raise ValueError(
                f"minutes = {self.minutes:g} and steps = {self.steps} are two ends of one training. Give one of them"
            )
        return self

    @model_validator(mode="after")
    def _device_has_engine(self) -> Self:
        if self.augment_on == "device" and self.engine == "elasticdeform":
            raise ValueError(
                "augment_on = 'device' and engine = 'elasticdeform' exclude each other: elasticdeform runs on CPU "
                "threads only. Take engine = 'compiled', which gives the same tiles"
            )
        return self

    @model_validator(mode="after")
    def _tile_fits_network(self) -> Self:
        network = self.network
        if None in (network.padding, network.unpooled):
            return self
        for setting, tile in (("tile", self.tile), ("first_tile", self.first_tile)):
            for name, size, axis in zip(AXES, tile or (), network.geometry.axes, strict=False):
                if not axis.is_valid(size):
                    raise ValueError(
                        f"{setting} {name}={size}: the {axis.padding!r} network takes {axis.minimum}, "
                        f"{axis.minimum + axis.multiple}, … voxels; the next is {axis.nearest_valid(size)}"
                    )
        return self

    @property
    def resampled_to(self) -> Spacing | None:
        """The working spacing, None where nothing is resampled."""
        return self.working_spacing if isinstance(self.working_spacing, Spacing) else None

    def as_toml(self) -> str:
        """As TOML that ``--config`` reads."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def write(self, path: Path) -> None:
        """Write as TOML that ``--config`` reads."""
        with written_whole(path) as file:
            file.write_text(self.as_toml(), encoding="utf-8")


def read_settings(path: Path | None, overrides: dict[str, Any] | None = None, preset: Preset | None = None) -> Settings:
    """Read settings from TOML, with single values replaced.

    Args:
        path: a TOML file, or None for the defaults.
        preset: what is set first; the file and the single values replace it.
        overrides: dotted names and values, such as ``{"network.filters": 16}``; those that are None are left alone.

    Raises:
        InputError: with every unknown name and impossible value, each with its place.
    """
    tree: dict[str, Any] = deepcopy(PRESETS[preset]) if preset else {}
    if path is not None:
        try:
            _lay_over(tree, tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(
                f"{path}: not readable as TOML ({error}). Write settings as `--dry-run` prints them."
            ) from error
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    for end, other in (("minutes", "steps"), ("steps", "minutes")):
        if end in given:  # which wins over what the file says of the other
            tree.pop(other, None)
    for name, value in given.items():
        *parents, leaf = name.split(".")
        branch: Any = tree
        for parent in parents:
            branch = branch.setdefault(parent, {}) if isinstance(branch, dict) else None
        if isinstance(branch, dict):  # what is no table is refused below
            branch[leaf] = value
    return validated(Settings, tree, f"{path}: " if path else "")


def _lay_over(tree: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            _lay_over(tree[name], value)
        else:
            tree[name] = value


AnySettings = TypeVar("AnySettings", bound=Settings)


def validated(kind: type[AnySettings], tree: dict[str, Any], where: str = "") -> AnySettings:
    """Settings of a kind from a tree of plain values.

    Raises:
        InputError: with every unknown name and impossible value, each with its place, after `where`.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise InputError(where + "\n".join(_say(problem) for problem in error.errors())) from error


def _say(problem: Any) -> str:
    if not problem["loc"]:  # what does not fit together names its settings itself
        return f"{problem['ctx']['error']}."
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such setting. `unet3d fit --dry-run` prints all of them."
    if problem["type"] == "missing":
        return f"{name}: is undecided. If an earlier version wrote this, remove its run to begin again."
    if problem["type"] == "value_error":  # our own sentence, which has the value
        return f"{name}: {problem['ctx']['error']}"
    return f"{name}: {problem['msg']}. Received: {problem['input']!r}"
