"""NIfTI, through nibabel: sform, qform, their codes, the units and everything else in the header stay as they were."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.declared import DEFLATE, check_declared
from keras_unet3d.volumes.deflate import write_deflated
from keras_unet3d.volumes.raw_voxels import RawVoxels, planes_in_order
from keras_unet3d.volumes.slabs import bytes_of, in_slabs
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Grid, Volume
from keras_unet3d.volumes.voxels import Voxels, as_array

NAME = "NIfTI"

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From NIfTI's physical axes (right, anterior, superior) to ours, and back."""

_UNITS = {"meter": "m", "mm": "mm", "micron": "µm"}
_LONGEST_AXIS = 32767
"""A NIfTI-1 header counts voxels in 16 bits; longer axes need NIfTI-2."""


def opened(path: Path, opening: Opening) -> Volume:
    """Open ``.nii`` or ``.nii.gz``: 3D, or with channels as fourth axis, as fifth (vectors), or as RGB."""
    import nibabel

    image = nibabel.load(path, mmap=False)
    if not isinstance(image, nibabel.Nifti1Image):
        raise InputError(f"{path}: is {type(image).__name__}, no NIfTI volume. Export it as a NIfTI volume.")
    header = image.header
    shape, channels = _sizes(path, tuple(int(size) for size in header.get_data_shape()))
    packed = path.name.lower().endswith(".gz")
    first, dtype = int(image.dataobj.offset), header.get_data_dtype()
    check_declared(
        path,
        shape,
        dtype,
        channels=channels,
        stored=path.stat().st_size - (0 if packed else first),
        packing=DEFLATE if packed else 1,
        held=opening.whole,
        floats=opening.whole,
    )
    if packed:
        source = opening.inflated(path, path, math.prod(shape) * channels * dtype.itemsize, skip=first)
    else:
        source = opening.file(path)
    z, y, x = shape
    colours = len(dtype.names or "1")
    number = dtype[0] if dtype.names else dtype
    planes = planes_in_order(0 if packed else first, z, channels, y * x * dtype.itemsize)
    voxels = RawVoxels(source, planes, (y, x, colours), number, None if dtype.names else _meaning(image.dataobj))
    return Volume(as_array(voxels), _grid(path, header), header=header)


def _meaning(proxy: Any) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """Apply slope and intercept, in float64; they mean nothing for colours."""
    from nibabel.volumeutils import apply_read_scaling

    if (proxy.slope, proxy.inter) == (1, 0):
        return None
    return partial(apply_read_scaling, slope=proxy.slope, inter=proxy.inter)


def write(path: Path, volume: Volume, *, labels: bool) -> None:
    """Write with the header that was read, or with one made of the grid (scanner coordinates, code 1)."""
    from nibabel.openers import Opener

    header = _header(path, volume)
    _describe(header, volume, labels=labels)
    parts = chain([_header_bytes(header)], _voxel_bytes(volume.voxels, header.get_data_dtype()))
    with path.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            write_deflated(file, parts, container="gzip", level=Opener.default_compresslevel)
        else:
            file.writelines(parts)


def _describe(header: Any, volume: Volume, *, labels: bool) -> None:
    """Say in a header what the voxels are: how many, of what type, and whether they are labels."""
    z, y, x, *channels = volume.voxels.shape
    shape = _image_shape((x, y, z, *channels), header.get_data_shape()) if channels else (x, y, z)
    if shape != header.get_data_shape():  # which would forget what is said of its other axes
        header.set_data_shape(shape)
    header.set_data_dtype(volume.voxels.dtype.newbyteorder(header.endianness))
    header["cal_min"] = header["cal_max"] = 0  # the display range of what was read
    if labels:
        header.set_intent("label")
    elif header.get_intent()[0] == "label":
        header.set_intent("none")
    header.set_slope_inter(1, 0)


def _header_bytes(header: Any) -> memoryview:
    """All that comes before the voxels."""
    file = BytesIO()
    header["magic"] = header.single_magic
    header.write_to(file)
    return memoryview(file.getvalue().ljust(header.get_data_offset(), b"\0"))


def _voxel_bytes(voxels: Voxels, dtype: Any) -> Iterator[memoryview]:
    """The voxels in the order of the file, where the channels come one after the other."""
    for channel in range(voxels.shape[3] if voxels.ndim == 4 else 1):
        for slab in in_slabs(voxels):
            one = slab if slab.ndim == 3 else slab[..., channel]
            yield bytes_of(one.astype(dtype, copy=False))


def _sizes(path: Path, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], int]:
    """Voxels along z, y, x, and channels."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3:
        raise InputError(
            f"{path}: has {len(shape)} axes ({'×'.join(map(str, shape))} voxels); a volume has x, y and z. Stack the "
            "slices into one volume."
        )
    x, y, z, *others = shape
    if len([size for size in others if size != 1]) > 1:
        raise InputError(
            f"{path}: has axes of {'×'.join(map(str, others))} behind {named((z, y, x))}; only one, the channels, can "
            "be read. Save one time point to a file."
        )
    return (z, y, x), max([1, *others]) if min([1, *others]) > 0 else 0


def _grid(path: Path, header: Any) -> Grid:
    x, y, z = (int(size) for size in header.get_data_shape()[:3])
    unit = _UNITS.get(header.get_xyzt_units()[0], "")
    try:
        grid = Grid.from_affine((z, y, x), _LPS @ header.get_best_affine(), unit)
    except ValueError as error:
        raise InputError(
            f"{path}: its sform or qform is damaged (it puts different voxels at one place, or holds what is no "
            "number). Export the volume again, or correct the header."
        ) from error
    return replace(grid, placed=bool(header["sform_code"] > 0 or header["qform_code"] > 0))


def _header(path: Path, volume: Volume) -> Any:
    """The header that was read, where it still says where the voxels lie; else a new one."""
    import nibabel

    known = volume.header
    if isinstance(known, nibabel.Nifti1Header):
        whole = _grid(path, known)
        if whole == volume.grid:
            return known.copy()
        if whole.placed and whole == replace(volume.grid, shape=whole.shape, origin=whole.origin):
            return _moved(known.copy(), whole, volume.grid)
    grid = volume.grid.in_unit({"cm": "mm", "nm": "µm"}.get(volume.grid.unit, volume.grid.unit))
    long = max(*grid.shape, *volume.voxels.shape) > _LONGEST_AXIS
    header = nibabel.Nifti2Header() if long else nibabel.Nifti1Header()
    header.set_data_shape(grid.shape[::-1])
    affine = _LPS @ grid.affine
    direction = np.asarray(grid.direction)
    # A qform cannot shear: software that prefers it must not be misled.
    orthogonal = np.allclose(direction.T @ direction, np.eye(3), atol=1e-6)
    header.set_qform(affine, code=1 if orthogonal else 0)
    header.set_sform(affine, code=1)
    header.set_xyzt_units(next((name for name, unit in _UNITS.items() if unit == grid.unit), "unknown"))
    return header


def _moved(header: Any, whole: Grid, part: Grid) -> Any:
    """The header of a part of what was read; sform and qform can put it at different places, and both stay."""
    start = np.append(np.linalg.solve(whole.affine, [*part.origin, 1])[:3], 1)
    for row, place in zip("xyz", header.get_sform() @ start, strict=False):
        header[f"srow_{row}"][3] = place
    for row, place in zip("xyz", header.get_qform() @ start, strict=False):
        header[f"qoffset_{row}"] = place
    return header


def _image_shape(shape: tuple[int, ...], known: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the file (x, y, z, channels): as in the file that was read, where the channels are as many."""
    *space, channels = shape
    if len(known) == 5 and known[3] == 1 and known[4] == channels:
        return (*space, 1, channels)
    if channels == 1 and len(known) < 4:
        return tuple(space)
    return shape
