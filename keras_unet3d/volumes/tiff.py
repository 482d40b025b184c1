"""TIFF, ImageJ hyperstacks and OME-TIFF, through tifffile."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.declared import DEFLATE, check_declared
from keras_unet3d.volumes.slabs import SLAB_BYTES
from keras_unet3d.volumes.suffixes import suffix_of
from keras_unet3d.volumes.tiff_data import series_voxels
from keras_unet3d.volumes.tiff_space import channel_names, imagej_keys, ome_keys, read_space
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import Voxels, as_array

NAME = "TIFF"

_SLICES = "ZIQ"
"""Axes that count slices: z, the pages of a file that says nothing about them, and an axis that it does not name."""

_NONE, _DEFLATE, _OLD_DEFLATE = 1, 8, 32946
"""TIFF's numbers for no compression and for zlib's."""

_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_LONGEST_IMAGEJ = 2**32 - 2**25
"""Bytes of voxels in one classic TIFF, with room for its tags."""


def opened(path: Path, opening: Opening) -> Volume:
    """Open the one volume of a TIFF; its axes, channels and spacing come from ImageJ's or OME's metadata."""
    import tifffile

    with _damage_is_an_error(path), tifffile.TiffFile(path) as tif:
        if suffix_of(path).startswith(".ome") and not tif.is_ome:
            raise InputError(f"{path}: its OME-XML is missing or damaged. Copy or export it again, or name it .tif.")
        series = _volume_series(path, tif)
        axes, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
        space = read_space(tif)
        known_depth = bool(space.line) or any(axis in _SLICES for axis in series.axes)
        order, grid_shape, channels = _order(path, axes, shape, known_depth=known_depth)
        packing = {_NONE: 1, _DEFLATE: DEFLATE, _OLD_DEFLATE: DEFLATE}.get(int(series.keyframe.compression))
        stored = path.stat().st_size if packing and not series.is_multifile else None
        check_declared(
            path,
            grid_shape,
            series.dtype,
            channels=channels,
            stored=stored,
            packing=packing or 1,
            held=opening.whole,
            floats=opening.whole,
        )
        try:
            voxels = series_voxels(path, opening, series, order, grid_shape, channels)
            if voxels is None:
                check_declared(path, grid_shape, series.dtype, channels=channels, floats=False)
                voxels = series.asarray().reshape(shape).transpose(order).reshape(*grid_shape, channels)
        except (ValueError, NotImplementedError) as error:
            if "imagecodecs" not in str(error):
                raise
            raise InputError(
                f"{path}: is compressed with {series.keyframe.compression.name}, which needs the package imagecodecs. "
                "Run 'pip install imagecodecs', or save it uncompressed."
            ) from error
        names = channel_names(tif)
    return Volume(as_array(voxels), space.grid(grid_shape), channels=names if len(names) == channels else ())


def write(path: Path, volume: Volume, *, labels: bool) -> None:
    """Write an ImageJ hyperstack; OME-TIFF for ``.ome.tif`` and for what ImageJ's format does not hold.

    A plane is in memory as a whole, however large.
    """
    import tifffile

    voxels = volume.voxels
    depth, height, width = volume.grid.shape
    channels = 1 if labels else voxels.shape[-1]
    size = math.prod(voxels.shape) * voxels.dtype.itemsize
    options: dict[str, Any] = {"dtype": voxels.dtype, "buffersize": SLAB_BYTES}
    if labels:
        options |= {"compression": "zlib", "compressionargs": {"level": 1}}
    plain = suffix_of(path) in {".tif", ".tiff"}
    wide = width > 1  # tifffile takes a last axis of one for samples
    if plain and wide and voxels.dtype.name in _IMAGEJ_TYPES and size < _LONGEST_IMAGEJ:
        keys, resolution = imagej_keys(volume.grid)
        tifffile.imwrite(
            path,
            _planes(voxels),
            shape=(depth, channels, height, width),
            imagej=True,
            resolution=resolution,
            metadata={"axes": "ZCYX", **keys},
            **options,
        )
        return
    tifffile.imwrite(
        path,
        (plane for channel in range(channels) for plane in _planes(voxels, channel)),
        shape=(channels, depth, height, width),
        ome=True,
        bigtiff=size >= _LONGEST_IMAGEJ,
        photometric="minisblack",
        metadata={"axes": "CZYX", **ome_keys(volume.grid, volume.channels)},
        **options,
    )


def _planes(voxels: Voxels, channel: int | None = None) -> Iterator[NDArray[Any]]:
    """The planes of a volume along z, of one channel or, one after the other, of all of them."""
    for z in range(voxels.shape[0]):
        plane = voxels[z : z + 1][0]
        if plane.ndim == 2:
            yield plane
        else:
            yield from np.moveaxis(plane, -1, 0) if channel is None else [plane[..., channel]]


def _volume_series(path: Path, tif: Any) -> Any:
    """The one series with slices, or the only one."""
    deep = [series for series in tif.series if len(series.shape) > 2]
    candidates = deep or list(tif.series)
    if not candidates:
        raise InputError(f"{path}: holds no image. Copy or export it again.")
    if len(candidates) != 1:
        found = ", ".join(f"{series.axes} {'×'.join(map(str, series.shape))}" for series in candidates)
        raise InputError(f"{path}: holds {len(candidates)} images ({found}). Save the one that is meant to a file.")
    return candidates[0]


def _order(
    path: Path, axes: str, shape: tuple[int, ...], *, known_depth: bool
) -> tuple[list[int], tuple[int, int, int], int]:
    """The order that brings the axes to z, y, x, channel; voxels along z, y, x; and channels."""
    size = dict(zip(axes, shape, strict=False))
    deep = [index for index, axis in enumerate(axes) if axis not in "YXCS" and shape[index] != 1]
    found = " ".join(f"{axis}={length}" for axis, length in zip(axes, shape, strict=True) if length != 1)
    if not {"Y", "X"} <= set(axes) or len(deep) > 1 or any(axes[index] not in _SLICES for index in deep):
        raise InputError(
            f"{path}: has the axes {found}, of which one volume cannot be made. Save one time point with the axes z, "
            "y, x and channel; in Fiji, Image > Hyperstacks > Re-order Hyperstack tells time from depth."
        )
    if not deep and not known_depth:
        raise InputError(
            f"{path}: is a 2D image ({found}), a volume has slices along z. Save all slices to one file; where they "
            "were saved as channels, say so in Fiji with Image > Hyperstacks > Re-order Hyperstack."
        )
    space = [*deep, axes.index("Y"), axes.index("X")]
    rest = [index for index in range(len(axes)) if index not in space]
    depth = shape[deep[0]] if deep else 1
    channels = size.get("C", 1) * size.get("S", 1)
    return [*space, *rest], (depth, size["Y"], size["X"]), channels


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _damage_is_an_error(path: Path) -> Iterator[None]:
    """Tifffile reads what is left of a file that is cut off, and only logs that pages are missing."""
    log, collected = logging.getLogger("tifffile"), _Collected()
    log.addHandler(collected)
    try:
        yield
    finally:
        log.removeHandler(collected)
    if collected.messages:
        raise InputError(f"{path}: is cut off or damaged. Copy or export it again.")
