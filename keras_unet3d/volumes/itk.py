"""NRRD and MetaImage, through SimpleITK."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.declared import DEFLATE, check_declared
from keras_unet3d.volumes.itk_data import StoredVoxels, stored_voxels
from keras_unet3d.volumes.itk_header import append_voxels, mark_unit, read_fields, unit_in, unit_key
from keras_unet3d.volumes.raw_voxels import RawVoxels
from keras_unet3d.volumes.slabs import bytes_of, in_slabs
from keras_unet3d.volumes.suffixes import suffix_of
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Grid, Volume
from keras_unet3d.volumes.voxels import Voxels, as_array

NAME = "NRRD or MetaImage"

_OF_THE_READER = ("ITK_", "NRRD_")
"""Keys that SimpleITK adds when it reads: the grid, said again."""


@dataclass(frozen=True)
class Metadata:
    """Keys and values of a file's header beside its grid, and the suffix of the format they belong to."""

    suffix: str
    values: Mapping[str, str]


def opened(path: Path, opening: Opening) -> Volume:
    """Open ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd``; vectors, or a fourth axis, are channels.

    Raw voxels, and those of one gzip or zlib stream, are read part by part; SimpleITK reads everything else whole.
    """
    fields, end = read_fields(path)
    if "0" in fields.get("sizes", "").split():  # which SimpleITK calls a damaged file
        raise InputError(f"{path}: an axis has no voxels (sizes: {fields['sizes']}). Export the volume again.")
    sitk = quiet_simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size, components = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) not in {3, 4} or (len(size) == 4 and components > 1):
        raise InputError(
            f"{path}: has {len(size)} axes of {'×'.join(map(str, size))} voxels; a volume has x, y, z and, where it "
            "has channels, those. Export it as one volume."
        )
    unit, factor = unit_in(path, fields)
    x, y, z, *others = size
    shape, channels, dtype = (z, y, x), max([components, *others]), _dtype(reader.GetPixelID())
    stored = stored_voxels(path, fields, end, size, components, dtype.itemsize)
    check_declared(
        path,
        shape,
        dtype,
        channels=channels,
        stored=stored.size if stored else None,
        packing=DEFLATE if stored and stored.packed else 1,
        held=opening.whole or not stored,
        floats=opening.whole,
    )
    voxels = _raw(path, opening, stored, (*shape, channels), dtype) if stored else _whole(reader)
    values = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if not key.startswith(_OF_THE_READER)}
    return Volume(as_array(voxels), grid_of(reader, unit, factor), header=Metadata(suffix_of(path), values))


def _raw(path: Path, opening: Opening, stored: StoredVoxels, shape: Sequence[int], dtype: np.dtype[Any]) -> RawVoxels:
    """Voxels that are read from the file, or from what it unpacks to."""
    *space, channels = shape
    if stored.packed:
        source = opening.inflated(path, stored.file, math.prod(shape) * dtype.itemsize, start=stored.first)
    else:
        source = opening.file(stored.file)
    planes, in_plane = stored.planes(space, channels, dtype.itemsize)
    return RawVoxels(source, planes, (space[1], space[2], in_plane), dtype.newbyteorder(stored.order))


def _whole(reader: Any) -> NDArray[Any]:
    """All voxels ``(z, y, x, channel)`` in memory."""
    image = reader.Execute()
    voxels: NDArray[Any] = quiet_simpleitk().GetArrayFromImage(image)
    if image.GetDimension() == 4:
        return np.moveaxis(voxels, 0, -1)
    return voxels if voxels.ndim == 4 else voxels[..., None]


def write(path: Path, volume: Volume, *, labels: bool) -> None:
    """Write ``.nrrd`` or ``.mha``, with the keys of the header that was read if it was of the same format."""
    known = volume.header
    same = isinstance(known, Metadata) and known.suffix == suffix_of(path)
    write_with(path, volume.voxels, volume.grid, known.values if same else {}, compressed=labels)


def write_with(path: Path, voxels: Voxels, grid: Grid, metadata: Mapping[str, str], *, compressed: bool) -> None:
    """Write voxels ``(z, y, x)`` or ``(z, y, x, channel)`` with these keys in the header.

    SimpleITK, which writes only what is in memory, writes a file of one voxel, whose header then gets the true size.
    """
    sitk = quiet_simpleitk()
    if suffix_of(path) == ".mha":  # which knows um, mm and cm only
        grid = grid.in_unit({"m": "mm", "nm": "µm"}.get(grid.unit, grid.unit))
    channels = voxels.shape[3] if voxels.ndim == 4 else 1
    one = np.zeros((1, 1, 1, channels) if channels > 1 else (1, 1, 1), voxels.dtype)
    image = sitk.GetImageFromArray(one, isVector=channels > 1)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection([value for row in grid.direction for value in row])
    unit = unit_key(path, grid.unit)
    for key, value in {**metadata, **unit}.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=compressed)
    if unit:
        mark_unit(path)
    append_voxels(path, grid.shape, map(bytes_of, in_slabs(voxels)), compressed=compressed)


def grid_of(image: Any, unit: str, factor: float = 1.0) -> Grid:
    """The grid of the first three axes of a SimpleITK image, whose lengths times `factor` are in `unit`."""
    x, y, z = image.GetSize()[:3]
    dimension = image.GetDimension()
    direction = np.asarray(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(image.GetSpacing()[:3]) * factor
    affine[:3, 3] = np.asarray(image.GetOrigin()[:3]) * factor
    return Grid.from_affine((z, y, x), affine, unit)


def quiet_simpleitk() -> Any:
    """SimpleITK, without its warnings on the terminal: what matters is raised here as an error."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _dtype(pixel: int) -> np.dtype[Any]:
    """The NumPy type of a SimpleITK pixel type, of one component where it is a vector."""
    sitk = quiet_simpleitk()
    words = sitk.GetPixelIDValueAsString(pixel)
    bits = re.search(r"(\d+)-bit", words)
    if "complex" in words:
        return np.dtype(np.complex128)
    kind = "f" if "float" in words else "u" if "unsigned" in words else "i"
    return np.dtype(f"{kind}{int(bits[1]) // 8 if bits else 8}")
