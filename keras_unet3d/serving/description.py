"""What a model is, in ``assets.extra/unet3d.json``: readable without TensorFlow, and checked."""

import json
import os
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.inference.axis import shortest_of_many
from keras_unet3d.network.sizes import Geometry, Padding
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes.intensity import INTENSITY_RULE

FORMAT: Final = 1
"""Raised whenever an older package would read a description wrongly."""

DESCRIPTION_FILE = Path("assets.extra", "unet3d.json")

Byte = Annotated[int, Field(ge=0, le=255)]
Length = Annotated[int, Field(ge=1)]
Spacing = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
    """Which tiles ``serving_default`` takes; what follows from padding and depth is written for other readers."""

    model_config = ConfigDict(frozen=True)

    padding: Padding
    depth: Annotated[int, Field(ge=1, le=8)]

    @property
    def geometry(self) -> Geometry:
        """The arithmetic behind these numbers."""
        return Geometry(self.padding, self.depth)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def multiple(self) -> int:
        """Input origins of tiles differ by multiples of this."""
        return self.geometry.multiple

    @computed_field  # type: ignore[prop-decorator]
    @property
    def remainder(self) -> int:
        """A valid length leaves this when divided by `multiple`."""
        return self.geometry.remainder

    @computed_field  # type: ignore[prop-decorator]
    @property
    def minimum(self) -> int:
        """The shortest valid length."""
        return self.geometry.minimum

    @computed_field  # type: ignore[prop-decorator]
    @property
    def margin(self) -> int:
        """Voxels that an axis loses from input to output."""
        return self.geometry.margin

    @computed_field  # type: ignore[prop-decorator]
    @property
    def halo(self) -> int:
        """Voxels to read beyond those that are kept, on each side."""
        return self.geometry.halo


class ModelDescription(BaseModel):
    """What a model is and how it came about.

    Attributes:
        classes: in the order of the network's outputs.
        unlabeled: the annotator's value of voxels without a label, which the model never gives.
        channels: names of the image's channels, in order.
        normalization: of the network.
        filters: base filters of the network.
        geometry: padding and depth of the network, and what follows for tiles.
        statistics: of batch normalisation, ``"moving"`` or ``"current"`` (those of the tile).
        spacing: along z, y, x, of the volumes it was trained on; None where unknown.
        unit: of the spacing.
        resampled: whether training resampled to `spacing`, so that the model expects it.
        mirrored_axes: axes along which training mirrored its tiles.
        settings: of the training, resolved.
        training: what training reports of itself.
        parameters: filled in by the export.
        tile: z, y, x input voxels of a tile inside ``segment_volume``; chosen by the export unless given.
        intensity: the rule by which offset and scale of a volume are computed.
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
    spacing: tuple[Spacing, Spacing, Spacing] | None = None
    unit: str = ""
    resampled: bool = False
    mirrored_axes: tuple[Literal["z", "y", "x"], ...] = ()
    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}
    parameters: Annotated[int, Field(ge=0)] = 0
    tile: tuple[Length, Length, Length] | None = None
    intensity: Literal["mean and standard deviation of each channel over the whole volume"] = INTENSITY_RULE
    axis_order: tuple[Literal["z"], Literal["y"], Literal["x"], Literal["channel"]] = ("z", "y", "x", "channel")
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    package_version: str = Field(default_factory=package_version)
    format: Literal[1] = FORMAT

    @model_validator(mode="after")
    def _check(self) -> "ModelDescription":
        values = [each.value for each in self.classes]
        if len(set(values)) < len(values) or self.unlabeled in values:
            raise ValueError(f"each class needs a value of its own, other than the unlabelled one; found {values}")
        geometry = self.geometry.geometry
        if self.tile is not None and not all(_can_be_tiled(length, geometry) for length in self.tile):
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
    def tile_dependent(self) -> bool:
        """Whether the network normalises by the statistics of each tile."""
        return self.normalization in ("group", "instance") or (
            self.normalization == "batch" and self.statistics == "current"
        )

    def with_tile(self, memory: float) -> "ModelDescription":
        """The same, and a cube as tile that needs at most so many bytes of memory, where none is given."""
        if self.tile is not None:
            return self
        from keras_unet3d.inference.memory import BYTES_PER_VOXEL_AND_FILTER

        geometry = self.geometry.geometry
        length = shortest_of_many(geometry)
        following = length + geometry.multiple
        while prod((following,) * 3) * BYTES_PER_VOXEL_AND_FILTER * self.filters <= memory:
            length, following = following, following + geometry.multiple
        return self.model_copy(update={"tile": (length, length, length)})


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
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        newer = isinstance(plain, dict) and isinstance(plain.get("format"), int) and plain["format"] > FORMAT
        if newer:
            raise InputError(
                f"{file}: was written by keras-unet3d {plain.get('package_version')}; this is {package_version()}, "
                f"which does not know format {plain['format']}. Update it: pip install --upgrade keras-unet3d"
            )
        return ModelDescription.model_validate(plain)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'as a whole'}: {problem['msg']}"
            for problem in error.errors()[:3]
        )
        raise InputError(f"{file}: does not describe a model ({problems}). Export the model again.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file}: is damaged ({error}). Export the model again.") from error


def _can_be_tiled(length: int, geometry: Geometry) -> bool:
    return geometry.is_valid(length) and length >= shortest_of_many(geometry)
