"""Where the voxels of a TIFF lie: together, in its pages, or compressed in them."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.raw_voxels import Bytes, RawVoxels
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.voxels import Voxels

_UNPACKED_AT_ONCE = 1 << 24
"""Bytes of pages: enough for every core to unpack some."""


def series_voxels(
    path: Path, opening: Opening, series: Any, order: Sequence[int], shape: Triple, channels: int
) -> Voxels | None:
    """Voxels ``(z, y, x, channel)`` of a series; None where its pages are not planes of rows.

    Args:
        path: of the TIFF.
        opening: how it is opened.
        series: of an open TIFF.
        order: which of its axes, those of length 1 too, are z (left out where there is none), y, x and channels.
        shape: along z, y, x.
        channels: how many.
    """
    sizes = series.get_shape(squeeze=False)
    numbers = _plane_numbers(order, series.get_axes(squeeze=False), sizes)
    pages_fit = math.prod(sizes) == len(series) * math.prod(series.keyframe.shape)
    if numbers is None or series.transform or not (series.dataoffset or pages_fit):
        return None
    _, height, width = shape
    in_plane = channels // numbers.shape[1]
    plane_bytes = height * width * in_plane * series.dtype.itemsize
    firsts = _first_bytes(series, numbers.size, plane_bytes)
    source: Bytes
    if firsts is None:
        source = opening.unpacked(path, _pages(series), numbers.size * plane_bytes)
        firsts, dtype = np.arange(numbers.size, dtype=np.int64) * plane_bytes, series.dtype
    else:
        source, dtype = opening.file(path), series.dtype.newbyteorder(series.parent.byteorder)
        if int(firsts.max()) + plane_bytes > path.stat().st_size:
            raise InputError(f"{path}: is cut off. Copy or export it again.")
    return RawVoxels(source, firsts[numbers], (height, width, in_plane), dtype)


def _plane_numbers(order: Sequence[int], axes: str, sizes: Sequence[int]) -> NDArray[np.int64] | None:
    """Which plane of the file is which ``(z, channel)``; None where the planes are not rows y of voxels x."""
    y, x = axes.index("Y"), axes.index("X")
    slices = list(order[: order.index(y)])  # z, or nothing
    if x != y + 1 or any(axis > y for axis in slices):
        return None
    outer = [*slices, *(axis for axis in range(y) if axis not in slices)]
    numbers = np.arange(math.prod(sizes[:y]), dtype=np.int64).reshape(sizes[:y])
    return numbers.transpose(outer).reshape(math.prod(sizes[axis] for axis in slices), -1)


def _first_bytes(series: Any, planes: int, plane_bytes: int) -> NDArray[np.int64] | None:
    """The first byte of every plane; None where pages are compressed, in pieces or in several files."""
    if series.is_multifile:
        return None
    if series.dataoffset is not None:
        return int(series.dataoffset) + np.arange(planes, dtype=np.int64) * plane_bytes
    pages = list(series)
    if not all(page is not None and page.is_final and _in_one_piece(page) for page in pages):
        return None
    firsts = np.array([page.dataoffsets[0] for page in pages], dtype=np.int64)
    within = np.arange(planes // len(pages), dtype=np.int64) * plane_bytes
    return (firsts[:, None] + within).reshape(-1)


def _in_one_piece(page: Any) -> bool:
    """Whether the strips of a page follow one another; tifffile says it of the first page only."""
    firsts, counts = page.dataoffsets, page.databytecounts
    follow = all(first + count == after for first, count, after in zip(firsts, counts, firsts[1:], strict=False))
    return follow and len(firsts) > 0 and sum(counts) >= page.nbytes


def _pages(series: Any) -> Iterator[memoryview]:
    """The voxels of all pages, unpacked some pages at a time; those that are missing are 0."""
    at_once = max(1, _UNPACKED_AT_ONCE // max(series.keyframe.nbytes, 1))
    for first in range(0, len(series), at_once):
        voxels = _unpacked(series, slice(first, min(first + at_once, len(series))))
        yield np.ascontiguousarray(voxels, series.dtype).reshape(-1).view(np.uint8).data


def _unpacked(series: Any, key: slice) -> NDArray[Any]:
    pages = series[key]
    if all(page is None for page in pages):
        return np.zeros((len(pages), *series.keyframe.shape), series.dtype)
    if len(pages) > 1:
        return np.asarray(series.parent.asarray(key=key, series=series))
    file = pages[0].parent.filehandle  # may be another file of the series, which tifffile opens only for several pages
    closed = file.closed
    file.open()
    try:
        return np.asarray(pages[0].asarray())
    finally:
        if closed:
            file.close()
