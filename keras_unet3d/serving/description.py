"""What a model is, in ``assets.extra/unet3d.json``: readable without TensorFlow, and checked."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference.axis import shortest_of_many
from keras_unet3d.inference.planning import WHOLE_TILE_BYTES
from keras_unet3d.network.sizes import AxisGeometry, Dimensions, Geometry, Padding
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.intensity import INTENSITY_RULE, Intensities, Window
from keras_unet3d.volumes.spacing import Spacing

FORMAT: Final = 4
"""Raised whenever an older package would read a model wrongly, or this one an older model."""

AGREEING_DICE = 0.999
"""Dice from which on the labels of two precisions count as the same."""

DESCRIPTION_FILE = Path("assets.extra", "unet3d.json")

Byte = Annotated[int, Field(ge=0, le=255)]
Length = Annotated[int, Field(ge=1)]
Edge = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def package_version() -> str:
    """The version of this package, as installed."""
    try:
        return version("keras-unet3d")
    except PackageNotFoundError:
        return "unknown"


class ClassDescription(BaseModel):
    """One class: the value its voxels have in a label map, its name, and its colour if it has one."""

    model_config = ConfigDict(frozen=True)

    value: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    name: str
    colour: tuple[Byte, Byte, Byte] | None = None


class TileGeometry(BaseModel):
    """Which tiles ``serving_default`` takes; what follows for z, y and x is written for other readers.

    Attributes:
        padding: of the network.
        depth: of the network.
        unpooled: how many levels, from the finest on, do not pool along z, y and x.
        dimensions: of the network; one of 2 sees each slice orthogonal to z alone.
    """

    model_config = ConfigDict(frozen=True)

    padding: Padding
    depth: Annotated[int, Field(ge=1, le=8)]
    unpooled: Triple = (0, 0, 0)
    dimensions: Dimensions = 3

    @classmethod
    def of(cls, geometry: Geometry) -> "TileGeometry":
        """Describe a geometry."""
        return cls(
            padding=geometry.padding,
            depth=geometry.depth,
            unpooled=geometry.unpooled,
            dimensions=geometry.dimensions,
        )

    @property
    def geometry(self) -> Geometry:
        """The arithmetic behind these numbers."""
        return Geometry(self.padding, self.depth, self.unpooled, self.dimensions)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def multiple(self) -> Triple:
        """Input origins of tiles differ by multiples of this."""
        return self._along(lambda axis: axis.multiple)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def remainder(self) -> Triple:
        """A valid length leaves this when divided by `multiple`."""
        return self._along(lambda axis: axis.remainder)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def minimum(self) -> Triple:
        """The shortest valid length."""
        return self._along(lambda axis: axis.minimum)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def margin(self) -> Triple:
        """Voxels that an axis loses from input to output."""
        return self.geometry.margins

    @computed_field  # type: ignore[prop-decorator]
    @property
    def halo(self) -> Triple:
        """Voxels to read beyond those that are kept, on each side."""
        return self._along(lambda axis: axis.halo)

    def _along(self, number: Callable[[AxisGeometry], int]) -> Triple:
        z, y, x = map(number, self.geometry.axes)
        return z, y, x


class IntensityDescription(BaseModel):
    """How raw intensities become what the network sees.

    Attributes:
        rule: for the offset and scale of a channel without a window.
        windows: of channels whose numbers mean the same in every volume, by their names.
    """

    model_config = ConfigDict(frozen=True)

    rule: Literal[
        "mean and standard deviation of each channel over the whole volume, once values are drawn in to 10 standard "
        "deviations; normalised values are drawn in to 30"
    ] = INTENSITY_RULE
    windows: dict[str, Window] = {}


class ModelDescription(BaseModel):
    """What a model is and how it came about.

    Attributes:
        classes: in the order of the network's outputs.
        unlabeled: the annotator's value of voxels without a label, which the model never gives.
        channels: names of the image's channels, in order.
        normalization: of the network.
        filters: base filters of the network.
        geometry: padding, depth and pooled axes of the network, and what follows for tiles.
        statistics: of batch normalisation, ``"moving"`` or ``"current"`` (those of the tile).
        spacing: along z, y, x, of the volumes it was trained on; None where unknown.
        unit: of the spacing.
        resampled: whether training resampled to `spacing`, so that the model expects it: see `working_spacing`.
        mirrored_axes: axes along which training mirrored its tiles.
        settings: of the training, resolved.
        training: what training reports of itself.
        bfloat16: Dice between the labels that the network gives in float32 and in bfloat16, by the name of the class,
            seen on training volumes at export; None for a class that neither gave, None altogether if not checked.
        members: networks whose probabilities are averaged, all of this description; filled in by the export.
        parameters: of all members, as they were trained; filled in by the export unless given.
        tile: z, y, x input voxels of a tile inside ``segment_volume``; chosen by the export unless given.
        intensity: how raw intensities become what the network sees.
        axis_order: of an image.
        created: when.
        package_version: of the package that exported it.
        format: of this description.
    """

    model_config = ConfigDict(frozen=True)

    classes: Annotated[tuple[ClassDescription, ...], Field(min_length=1)]
    unlabeled: int | None = None
    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    normalization: Literal["batch", "group", "instance"] | None
    filters: Length
    geometry: TileGeometry
    statistics: Literal["moving", "current"] = "moving"
    spacing: tuple[Edge, Edge, Edge] | None = None
    unit: str = ""
    resampled: bool = False
    mirrored_axes: tuple[Literal["z", "y", "x"], ...] = ()
    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}
    bfloat16: dict[str, Annotated[float, Field(ge=0, le=1)] | None] | None = None
    members: Length = 1
    parameters: Annotated[int, Field(ge=0)] = 0
    tile: tuple[Length, Length, Length] | None = None
    intensity: IntensityDescription = IntensityDescription()
    axis_order: tuple[Literal["z"], Literal["y"], Literal["x"], Literal["channel"]] = ("z", "y", "x", "channel")
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    package_version: str = Field(default_factory=package_version)
    format: Literal[4] = FORMAT

    @model_validator(mode="after")
    def _check(self) -> "ModelDescription":
        values = [each.value for each in self.classes]
        if len(set(values)) < len(values) or self.unlabeled in values:
            raise ValueError(f"each class needs a value of its own, other than the unlabelled one; found {values}")
        names = [each.name for each in self.classes]
        if self.bfloat16 is not None and set(self.bfloat16) != set(names):
            raise ValueError(f"bfloat16 needs a Dice for each of {names}; found {list(self.bfloat16)}")
        if unknown := set(self.intensity.windows) - set(self.channels):
            raise ValueError(f"no channel is called {min(unknown)!r}, for which there is a window")
        if self.resampled and self.spacing is None:
            raise ValueError("it was resampled, and no spacing says to which")
        axes = self.geometry.geometry.axes
        if self.tile is not None and not all(map(_can_be_tiled, self.tile, axes)):
            raise ValueError(f"the network takes no tiles of z={self.tile[0]} y={self.tile[1]} x={self.tile[2]}")
        return self

    @property
    def scheme(self) -> LabelScheme:
        """Between the annotator's values and class indices."""
        return LabelScheme(
            values=tuple(each.value for each in self.classes),
            names=tuple(each.name for each in self.classes),
            colours=tuple(each.colour for each in self.classes),
            unlabeled=self.unlabeled,
        )

    @property
    def intensities(self) -> Intensities:
        """How the network wants the raw intensities of its channels."""
        windows = self.intensity.windows
        return Intensities({number: windows[name] for number, name in enumerate(self.channels) if name in windows})

    @property
    def working_spacing(self) -> Spacing | None:
        """What images are resampled to, None where the model takes any spacing."""
        return Spacing(self.spacing, self.unit) if self.resampled and self.spacing else None

    @property
    def tile_dependent(self) -> bool:
        """Whether the network normalises by the statistics of each tile."""
        return self.normalization in ("group", "instance") or (
            self.normalization == "batch" and self.statistics == "current"
        )

    @property
    def size(self) -> NetworkSize:
        """What decides how much each network computes and holds."""
        return NetworkSize(self.geometry.geometry, self.filters, len(self.channels), len(self.classes))

    @property
    def bfloat16_agrees(self) -> bool:
        """Whether it was seen that bfloat16 gives the labels of float32, for every class."""
        return self.bfloat16 is not None and all(
            dice is None or dice >= AGREEING_DICE for dice in self.bfloat16.values()
        )

    def with_tile(self, memory: float) -> "ModelDescription":
        """The same, and a tile that needs at most so many bytes of memory, where none is given.

        It moves by as many voxels along every axis: a cube, where all are pooled alike. Members take it one after the
        other: several need no more than one, but for the sum of their probabilities.
        """
        if self.tile is not None:
            return self
        geometry, size = self.geometry.geometry, self.size
        shortest = [shortest_of_many(axis) + geometry.coarsest - axis.multiple for axis in geometry.axes]

        def tile(longer: int) -> Triple:
            z, y, x = (length + longer * geometry.coarsest for length in shortest)
            return z, y, x

        longer = 0
        while WHOLE_TILE_BYTES * size.held_whole(tile(longer + 1)) <= memory:
            longer += 1
        return self.model_copy(update={"tile": tile(longer)})


def describe_classes(scheme: LabelScheme) -> tuple[ClassDescription, ...]:
    """The classes of a label scheme, as a description holds them."""
    entries = zip(scheme.values, scheme.names, scheme.colours, strict=True)
    return tuple(ClassDescription(value=value, name=name, colour=colour) for value, name, colour in entries)


def read_description(path: str | os.PathLike[str]) -> ModelDescription:
    """Read what a model is, without loading it.

    Args:
        path: a model's folder, with or without the version.

    Raises:
        InputError: if it is no model, none of this package, or one of a newer package.
    """
    folder = version_folder(path)
    file = folder / DESCRIPTION_FILE
    if not file.is_file():
        raise InputError(
            f"{folder}: is a TensorFlow SavedModel, but not one of keras-unet3d: it holds no "
            f"{DESCRIPTION_FILE.as_posix()}."
        )
    return parse_description(file.read_bytes(), str(file))


def parse_description(text: str | bytes, name: str) -> ModelDescription:
    """Read what a model is from JSON, as its file and its signature ``describe`` hold it.

    Args:
        text: in UTF-8.
        name: of where it comes from, for errors.

    Raises:
        InputError: if it describes no model, or one of another format.
    """
    try:
        plain = json.loads(text)
        found = plain.get("format") if isinstance(plain, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise InputError(
                f"{name}: was written by keras-unet3d {plain.get('package_version')}; this is {package_version()}, "
                f"which does not know format {found}. Update it: pip install --upgrade keras-unet3d"
            )
        if isinstance(found, int) and found < FORMAT:
            raise InputError(
                f"{name}: was written by keras-unet3d {plain.get('package_version')} in format {found}; this "
                f"is {package_version()}, which reads format {FORMAT}. Export the model again."
            )
        return ModelDescription.model_validate(plain)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'as a whole'}: {problem['msg']}"
            for problem in error.errors()[:3]
        )
        raise InputError(f"{name}: does not describe a model ({problems}). Export the model again.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{name}: is damaged ({error}). Export the model again.") from error


def _can_be_tiled(length: int, axis: AxisGeometry) -> bool:
    return axis.is_valid(length) and length >= shortest_of_many(axis)
