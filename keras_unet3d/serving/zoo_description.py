"""What a package of the BioImage Model Zoo says of itself: the content of its ``rdf.yaml``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.zoo_axes import ZooAxis, zoo_axes
from keras_unet3d.volumes.axes import AXES

FORMAT = "0.5.4"
"""Of 2025: programs refuse a newer one where it has words that they do not know, and read an older one."""

INPUT, OUTPUT = "image", "probabilities"
"""Names of the tensors, and of the input and output of ``serving_default``."""

EPSILON = 1e-6
"""Is added to the standard deviation; the format knows none without."""

TOLERANCE = 0.009
"""By which probabilities of the test may differ, as a share of the highest of them; the format allows 0.01. Of an image
in float32 bioimageio.core sums up squares in float32: its standard deviation is some ten-thousandths off, and
probabilities up to 0.005."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_+() -]")
_UNITS = {"m": "meter", "cm": "centimeter", "mm": "millimeter", "µm": "micrometer", "nm": "nanometer"}
_PAPER = (
    "Çiçek, Ö., Abdulkadir, A., Lienkamp, S. S., Brox, T., Ronneberger, O.: 3D U-Net: Learning Dense Volumetric "
    "Segmentation from Sparse Annotation. MICCAI 2016."
)
_PAPER_DOI = "10.1007/978-3-319-46723-8_49"


@dataclass(frozen=True)
class Publication:
    """What only people know of a model.

    Attributes:
        name: of the model.
        authors: names; the zoo asks for at least one.
        licence: an SPDX identifier such as ``"CC-BY-4.0"``; the zoo asks for one.
        card: the model card, Markdown; None where there is none.
    """

    name: str
    authors: tuple[str, ...] = ()
    licence: str | None = None
    card: str | None = None


def zoo_description(
    description: ModelDescription, publication: Publication, weights: dict[str, dict[str, Any]], highest: float
) -> dict[str, Any]:
    """The description.

    Args:
        description: of the model.
        publication: what is not in it.
        weights: entries by the names of the formats, the first the one that others were made from.
        highest: probability of the test.

    Raises:
        InputError: if the format has no words for the intensities that the model expects.
    """
    classes = ", ".join(f"{each.value} {each.name}" for each in description.classes)
    axes = zoo_axes(description)
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": _NOT_IN_NAMES.sub("-", publication.name)[:128],
        "description": f"3D U-Net that gives each voxel of a volume a class: {classes}."[:1024],
        "authors": [{"name": name} for name in publication.authors],
        **({"license": publication.licence} if publication.licence else {}),
        "cite": [{"text": _PAPER, "doi": _PAPER_DOI}],
        "tags": ["3d", "u-net", "semantic-segmentation", "tensorflow", "keras", "keras-unet3d"],
        "documentation": "README.md",
        "covers": ["cover.png"],
        "attachments": [{"source": "unet3d.json"}],
        "timestamp": description.created.isoformat(),
        "inputs": [_input(description, axes)],
        "outputs": [_output(description, axes)],
        "weights": weights,
        "config": {
            "bioimageio": {
                "architecture_type": "3D U-Net",
                "task": "semantic segmentation",
                "model_parameter_count": description.parameters,
                "reproducibility_tolerance": [{"absolute_tolerance": TOLERANCE * highest}],
            },
            "keras_unet3d": {
                "classes": [{"value": each.value, "name": each.name} for each in description.classes],
                "version": description.package_version,
            },
        },
    }


def preprocessing(description: ModelDescription) -> list[dict[str, Any]]:
    """Operations of the format that come closest to what the model does to raw intensities.

    Raises:
        InputError: if some channels have a window and others are measured, for which the format has no words.
    """
    windows, channels = description.intensities.windows, description.channels
    if not windows:
        return [{"id": "zero_mean_unit_variance", "kwargs": {"axes": list(AXES), "eps": EPSILON}}]
    if len(windows) < len(channels):
        measured = [name for number, name in enumerate(channels) if number not in windows]
        raise InputError(
            f"The channels {', '.join(description.intensity.windows)} have a fixed window, {', '.join(measured)} are "
            f"measured in each volume. The BioImage Model Zoo's format has no words for that: train with windows for "
            f"all channels or for none (intensity.windows), or serve the model with TensorFlow."
        )
    gain = [1 / windows[number].scale for number in range(len(channels))]
    offset = [-windows[number].offset / windows[number].scale for number in range(len(channels))]
    if set(gain) == {1.0} and not any(offset):
        return []
    if len(set(zip(gain, offset, strict=True))) == 1:
        return [{"id": "scale_linear", "kwargs": {"gain": gain[0], "offset": offset[0]}}]
    return [{"id": "scale_linear", "kwargs": {"axis": "channel", "gain": gain, "offset": offset}}]


def _input(description: ModelDescription, axes: Sequence[ZooAxis]) -> dict[str, Any]:
    space = [
        {**_space(description, number), "size": {"min": axis.minimum, "step": axis.step}}
        for number, axis in enumerate(axes)
    ]
    return {
        "id": INPUT,
        "description": "Raw intensities.",
        "axes": [{"type": "batch"}, *space, {"type": "channel", "channel_names": list(description.channels)}],
        "data": {"type": "float32"},
        "preprocessing": preprocessing(description),
        "test_tensor": {"source": "test_input.npy"},
    }


def _output(description: ModelDescription, axes: Sequence[ZooAxis]) -> dict[str, Any]:
    space = [
        {
            **_space(description, number),
            "size": {"tensor_id": INPUT, "axis_id": AXES[number]},
            **({"halo": axis.halo} if axis.halo else {}),
        }
        for number, axis in enumerate(axes)
    ]
    names = [each.name for each in description.classes]
    return {
        "id": OUTPUT,
        "description": "Probability of each class; the class of a voxel is the most probable one.",
        "axes": [{"type": "batch"}, *space, {"type": "channel", "channel_names": names}],
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": {"source": "test_output.npy"},
    }


def _space(description: ModelDescription, number: int) -> dict[str, Any]:
    axis: dict[str, Any] = {"type": "space", "id": AXES[number]}
    if description.spacing and description.unit in _UNITS:
        # In float32, so that a length times the scale, by the scale, is the length: readers round it down.
        axis |= {"unit": _UNITS[description.unit], "scale": float(np.float32(description.spacing[number]))}
    return axis
