"""The metadata of OME-Zarr images: axes, levels and where they lie in space.

OME-NGFF 0.4 (Zarr 2) and 0.5 (Zarr 3), https://ngff.openmicroscopy.org/; its older versions as far as they are alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.units import IN_MM, read_unit
from keras_unet3d.volumes.volume import Segment

VERSIONS: Final = {2: "0.4", 3: "0.5"}
"""Of the metadata, by the version of Zarr's format that it comes with."""

_UNITS = {"m": "meter", "cm": "centimeter", "mm": "millimeter", "µm": "micrometer", "nm": "nanometer"}
_OLDEST_AXES = "tczyx"


@dataclass(frozen=True)
class Axis:
    """One of an image's axes.

    Attributes:
        name: one letter, ``t``, ``c``, ``z``, ``y`` or ``x``.
        unit: as it is spelled, empty where none is.
    """

    name: str
    unit: str = ""


@dataclass(frozen=True)
class Level:
    """An array of an image, at one resolution.

    Attributes:
        path: below the image.
        scale: distance between voxels along each axis.
        translation: place of the first voxel's centre along each axis.
    """

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """An image at several resolutions.

    Attributes:
        axes: of every level.
        levels: the finest first.
        channels: their names, empty where there are none.
        placed: whether it is said where the image lies.
    """

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    channels: tuple[str, ...] = ()
    placed: bool = False

    @property
    def order(self) -> tuple[int, ...]:
        """Axes that are z, y, x, then those of channels and time, where there are some."""
        names = [axis.name for axis in self.axes]
        return tuple(sorted(range(len(names)), key=lambda number: "zyxct".index(names[number])))

    @property
    def unit(self) -> str:
        """Of lengths along x, as a grid has it."""
        return self._along("x")[0]

    def lengths(self, numbers: Sequence[float]) -> tuple[float, float, float]:
        """Those along z, y and x of some along all axes, in `unit`."""
        unit = self.unit
        found = []
        for axis in AXES:
            of_axis, factor = self._along(axis)
            worth = IN_MM[of_axis] / IN_MM[unit] if of_axis and unit else 1.0
            found.append(numbers[self._number(axis)] * factor * worth)
        z, y, x = found
        return z, y, x

    def _along(self, name: str) -> tuple[str, float]:
        return read_unit(self.axes[self._number(name)].unit)

    def _number(self, name: str) -> int:
        return [axis.name for axis in self.axes].index(name)


def read_multiscale(attributes: Mapping[str, Any]) -> Multiscale:
    """Read the first image that a group's attributes describe.

    Args:
        attributes: of the group, of either version. The oldest, 0.1 and 0.2, name no axes, and have all five.

    Raises:
        ValueError: if they describe none, or one that is no volume, with what was found.
        KeyError: if something is missing.
        TypeError: if something is of another kind.
    """
    told = ome(attributes)
    described = told["multiscales"][0]
    axes = tuple(map(_axis, described.get("axes") or _OLDEST_AXES))
    names = [axis.name for axis in axes]
    if not set(AXES) <= set(names) or not set(names) <= set("tczyx") or len(set(names)) < len(names):
        raise ValueError(f"its axes are {' '.join(names)}; a volume has z, y and x, and may have c and t")
    overall = _transformed(described.get("coordinateTransformations", ()), len(axes))
    levels = []
    placed = False
    for level in described["datasets"]:
        own = _transformed(level.get("coordinateTransformations", ()), len(axes))
        scale = tuple(a * b for a, b in zip(overall[0], own[0], strict=True))
        moved = tuple(s * t + more for s, t, more in zip(overall[0], own[1], overall[1], strict=True))
        placed = placed or any(moved)
        levels.append(Level(_inside(str(level["path"])), scale, moved))
    channels = told.get("omero", {}).get("channels", ())
    names = [str(channel.get("label", "")) for channel in channels]
    return Multiscale(axes, tuple(levels), tuple(names) if all(names) else (), placed)


def read_segments(attributes: Mapping[str, Any]) -> dict[int, Segment]:
    """Names and colours of the values of a label image; empty where it has none."""
    told = ome(attributes).get("image-label")
    if not isinstance(told, Mapping):
        return {}
    colours = {int(each["label-value"]): each.get("rgba") for each in told.get("colors", ())}
    names = {int(each["label-value"]): each.get("name") for each in told.get("properties", ())}
    segments = {}
    for value in sorted(set(colours) | set(names)):
        rgba = colours.get(value)
        colour = (int(rgba[0]), int(rgba[1]), int(rgba[2])) if rgba else None
        segments[value] = Segment(str(names.get(value) or value), colour)
    return segments


def ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a group's attributes tell of OME-NGFF: beside others up to 0.4, by themselves from 0.5 on."""
    own = attributes.get("ome")
    return own if isinstance(own, Mapping) else attributes


def multiscale_attributes(
    name: str,
    levels: Sequence[Level],
    unit: str,
    *,
    version: str,
    channels: Sequence[tuple[str, Sequence[float]]] | None,
    segments: Mapping[int, Segment] | None,
    image: str | None = None,
) -> dict[str, Any]:
    """The attributes of an image's group.

    Args:
        name: of the image.
        levels: of scales and translations along the axes of the arrays: (c,) z, y, x.
        unit: as a grid has it.
        version: of the metadata.
        channels: name, empty where unknown, and least and largest value of each; None for one without their axis.
        segments: of a label image; None for any other.
        image: where the image of a label image lies, from there, if it is known.
    """
    space: list[dict[str, str]] = [
        {"name": axis, "type": "space"} | ({"unit": _UNITS[unit]} if unit else {}) for axis in AXES
    ]
    axes = space if channels is None else [{"name": "c", "type": "channel"}, *space]
    datasets = [
        {
            "path": level.path,
            "coordinateTransformations": [
                {"type": "scale", "scale": list(level.scale)},
                {"type": "translation", "translation": list(level.translation)},
            ],
        }
        for level in levels
    ]
    inline = {} if version == VERSIONS[3] else {"version": version}
    told: dict[str, Any] = {"multiscales": [inline | {"name": name, "axes": axes, "datasets": datasets}]}
    if channels is not None and all(label for label, _ in channels):
        told["omero"] = {"channels": [_shown(*channel) for channel in channels]}
    if segments is not None:
        colours = [
            {"label-value": value, "rgba": [*segment.colour, 255]}
            for value, segment in segments.items()
            if segment.colour
        ]
        told["image-label"] = {
            **inline,
            **({"colors": colours} if colours else {}),
            "properties": [{"label-value": value, "name": segment.name} for value, segment in segments.items()],
            **({"source": {"image": image}} if image else {}),
        }
    return {"ome": {"version": version, **told}} if version == VERSIONS[3] else told


def _shown(label: str, range_: Sequence[float]) -> dict[str, Any]:
    """A channel, as viewers show it."""
    low, high = range_
    window = {"min": low, "max": high, "start": low, "end": high}
    return {"label": label, "color": "FFFFFF", "active": True, "window": window}


def _axis(told: Any) -> Axis:
    if isinstance(told, str):
        return Axis(told)
    return Axis(str(told["name"]).lower(), str(told.get("unit") or ""))


def _transformed(told: Any, dimensions: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation along all axes."""
    scale, translation = (1.0,) * dimensions, (0.0,) * dimensions
    for each in told:
        if each["type"] == "scale":
            scale = _numbers(each["scale"], dimensions)
        elif each["type"] == "translation":
            translation = _numbers(each["translation"], dimensions)
        elif each["type"] != "identity":
            raise ValueError(f"its coordinates are transformed by {each['type']!r}; scale and translation are read")
    return scale, translation


def _numbers(told: Any, dimensions: int) -> tuple[float, ...]:
    numbers = tuple(float(each) for each in told)
    if len(numbers) != dimensions:
        raise ValueError(f"it has {dimensions} axes, and a transformation of {len(numbers)}")
    return numbers


def _inside(path: str) -> str:
    """The path of an array, which may not lead out of its image."""
    if path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/") or ":" in path:
        raise ValueError(f"it names an array outside of itself, {path!r}")
    return path
