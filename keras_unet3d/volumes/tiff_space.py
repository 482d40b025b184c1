"""Spacing, unit and channel names in the metadata of ImageJ and OME-TIFF."""

import math
from dataclasses import dataclass
from typing import Any

from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.grid_text import GRID_KEY, grid_from_text, grid_to_text
from keras_unet3d.volumes.units import IN_MM, read_unit
from keras_unet3d.volumes.volume import Grid, Vector


@dataclass(frozen=True)
class Space:
    """What a TIFF says about space.

    Attributes:
        spacing: along z, y, x, in `unit`; 1 where the file does not say.
        unit: as a grid has it.
        line: the whole grid as text, in files that were written here.
    """

    spacing: Vector = (1.0, 1.0, 1.0)
    unit: str = ""
    line: str = ""

    def grid(self, shape: tuple[int, int, int]) -> Grid:
        """The grid of this many voxels along z, y, x."""
        plain = Grid(shape, self.spacing, unit=self.unit, placed=False)
        return grid_from_text(self.line, plain) if self.line else plain


def read_space(tif: Any) -> Space:
    """Read OME's or ImageJ's metadata. A plain TIFF's resolution, mostly 72 dots per inch by default, says nothing."""
    if tif.is_ome:
        return _read_ome(tif)
    if not tif.imagej_metadata:
        return Space()
    metadata = tif.imagej_metadata
    unit, factor = read_unit(str(metadata.get("unit", "")))
    tags = tif.pages[0].tags
    x, y = (_per_pixel(tags.get(name)) for name in ("XResolution", "YResolution"))
    z = metadata.get("spacing", 1.0)
    return Space(_positive(z, y, x, factor=factor), unit, str(metadata.get(GRID_KEY, "")))


def imagej_keys(grid: Grid) -> tuple[dict[str, Any], tuple[float, float]]:
    """The metadata of an ImageJ hyperstack, and its pixels per unit along x and y."""
    z, y, x = grid.spacing
    unit = {"": "pixel", "µm": "micron"}.get(grid.unit, grid.unit)
    return {"spacing": z, "unit": unit, GRID_KEY: grid_to_text(grid)}, (1 / x, 1 / y)


def ome_keys(grid: Grid, channels: tuple[str, ...]) -> dict[str, Any]:
    """The metadata of an OME-TIFF."""
    keys: dict[str, Any] = {"MapAnnotation": {GRID_KEY: grid_to_text(grid)}}
    for axis, spacing in zip(AXES, grid.spacing, strict=True):
        keys[f"PhysicalSize{axis.upper()}"] = spacing
        keys[f"PhysicalSize{axis.upper()}Unit"] = grid.unit or "pixel"
    if channels:
        keys["Channel"] = {"Name": list(channels)}
    return keys


def channel_names(tif: Any) -> tuple[str, ...]:
    """The names of the channels of an OME-TIFF; empty where it has none."""
    found = _pixels(tif).get("Channel", []) if tif.is_ome else []
    names = [str(channel.get("Name", "")) for channel in (found if isinstance(found, list) else [found])]
    return tuple(names) if all(names) else ()


def _read_ome(tif: Any) -> Space:
    pixels = _pixels(tif)
    # OME: "µm" where no unit is given; the unit of x is the grid's.
    units = [read_unit(pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm")) for axis in AXES]
    unit = units[2][0]
    sizes = [
        float(pixels.get(f"PhysicalSize{axis.upper()}", 1)) * factor * (IN_MM[own] / IN_MM[unit] if own and unit else 1)
        for axis, (own, factor) in zip(AXES, units, strict=True)
    ]
    if not any(key.startswith("PhysicalSize") and not key.endswith("Unit") for key in pixels):
        unit = ""
    return Space(_positive(*sizes), unit, _line(tif))


def _pixels(tif: Any) -> dict[str, Any]:
    import tifffile

    image = tifffile.xml2dict(tif.ome_metadata).get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    return pixels if isinstance(pixels, dict) else {}


def _line(tif: Any) -> str:
    """The grid as text, among OME's annotations."""
    import tifffile

    annotations = tifffile.xml2dict(tif.ome_metadata).get("OME", {}).get("StructuredAnnotations") or {}
    maps = annotations.get("MapAnnotation", []) if isinstance(annotations, dict) else []
    for annotation in maps if isinstance(maps, list) else [maps]:
        entries = (annotation.get("Value") or {}).get("M", [])
        for entry in entries if isinstance(entries, list) else [entries]:
            if entry.get("K") == GRID_KEY:
                return str(entry.get("value", ""))
    return ""


def _per_pixel(tag: Any) -> float:
    if tag is None:
        return 1.0
    pixels, units = tag.value
    return units / pixels if pixels else 1.0


def _positive(z: Any, y: Any, x: Any, *, factor: float = 1.0) -> Vector:
    """Spacing as files should have it: without sign, and 1 where it is none."""
    sizes = [abs(float(size)) * factor for size in (z, y, x)]
    depth, height, width = (size if size > 0 and math.isfinite(size) else 1.0 for size in sizes)
    return depth, height, width
