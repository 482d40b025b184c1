"""An image as a model expects it: on the spacing that it was trained at, or as it is, with what to say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.resampling import ResampledVoxels, resampled_grid
from keras_unet3d.volumes.voxels import as_array
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.serving.description import ModelDescription
    from keras_unet3d.volumes import Volume


@dataclass(frozen=True, eq=False)
class WorkingImage:
    """An image, and what a model sees of it.

    Attributes:
        image: as it is.
        volume: on the working grid; the image itself where nothing is resampled.
        resampled: how it is resampled, a sentence; empty where it is not.
        region: which part of an image this is, a sentence; empty for all of it.
        warnings: sentences.
    """

    image: Volume
    volume: Volume
    resampled: str = ""
    region: str = ""
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: Volume, models: Sequence[ModelDescription]) -> WorkingImage:
        """Check an image against models of one working spacing, and resample it where they expect that.

        Nothing is read yet: the voxels are resampled as they are read.

        A spacing without a unit is taken to be in that of the other.

        Raises:
            InputError: if it has another number of channels.
        """
        name, grid = image.source or "the image", image.grid
        for description in models:
            _check_channels(image, description)
        working = models[0].working_spacing
        if working is None:
            told = dict.fromkeys(sentence for model in models for sentence in _unusual(image, model))
            return cls(image, image, warnings=tuple(told))
        expected = resampled_grid(grid, working)
        if expected == grid:
            return cls(image, image)
        if grid.carries_no_space and not grid.placed:
            sentence = f"{name}: says nothing of its voxels, so it is not resampled; the model expects {working}."
            return cls(image, image, warnings=(sentence,))
        warnings = []
        if bool(grid.unit) != bool(working.unit):
            silent, unit = (name, working.unit) if working.unit else ("the model", grid.unit)
            warnings.append(f"The spacing of {silent} has no unit; it is taken to be in {unit}.")
        volume = replace(image, voxels=as_array(ResampledVoxels(image.voxels, grid, expected)), grid=expected)
        return cls(
            image,
            volume,
            f"{name}: resampled from voxels of {named(grid.spacing, grid.unit)} to the model's {working}, which makes "
            f"{named(expected.shape)} of {named(grid.shape)}, and labels back.",
            warnings=tuple(warnings),
        )


def _check_channels(volume: Volume, description: ModelDescription) -> None:
    found, expected = volume.voxels.shape[-1], description.channels
    if found != len(expected):
        raise InputError(
            f"{volume.source or 'the image'}: has {counted(found, 'channel')}, the model expects "
            f"{len(expected)}: {', '.join(expected)}. Give one file with all of them, or one file per channel."
        )


def _unusual(volume: Volume, description: ModelDescription) -> tuple[str, ...]:
    from keras_unet3d.volumes.spacing import unusual_spacing

    unusual = unusual_spacing(volume.grid, description.spacing, description.unit)
    return (f"{volume.source or 'the image'}: {unusual}.",) if unusual else ()
