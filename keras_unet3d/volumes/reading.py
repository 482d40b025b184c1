"""Reading images and label maps, of any format, with everything that can be wrong with them said."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.formats import format_to_read
from keras_unet3d.volumes.label_types import narrowed
from keras_unet3d.volumes.suffixes import split_dataset
from keras_unet3d.volumes.volume import Volume

PathLike = str | os.PathLike[str]


def read_image(path: PathLike | Sequence[PathLike]) -> Volume:
    """Read an image; several files are the channels of one.

    The format goes by the suffix: ``.nii`` ``.nii.gz`` ``.nrrd`` ``.nhdr`` ``.mha`` ``.mhd`` ``.tif`` ``.tiff``
    ``.ome.tif``, ``file.h5:dataset``, or a folder of one DICOM series.

    Returns:
        The volume, voxels float32 ``(z, y, x, channel)``, with the header for writing the same format.

    Raises:
        InputError: if a file is missing, damaged, no volume, larger than memory or holds values that are no numbers, or
            if several files do not share a grid (to 1 % of a voxel).
    """
    paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]
    if not paths:
        raise InputError("No image file is named. Expected at least one.")
    images = [_as_image(one, _read(one)) for one in paths]
    first = images[0]
    for one, image in zip(paths[1:], images[1:], strict=True):
        if not image.grid.agrees(first.grid):
            raise InputError(
                f"{one}: {image.grid}; but {paths[0]} has {first.grid}. The channels of an image share one grid: "
                "resample one file on the grid of the other."
            )
    if len(images) == 1:
        return first
    voxels = np.concatenate([image.voxels for image in images], axis=-1)
    names = tuple(name for image in images for name in image.channels)
    return replace(first, voxels=voxels, channels=names if len(names) == voxels.shape[-1] else ())


def read_labels(path: PathLike) -> Volume:
    """Read a label map: the formats of `read_image`, and ``.seg.nrrd`` of 3D Slicer with its segments.

    Returns:
        The volume, voxels integers ``(z, y, x)``: of the file's own type, or, where that is float or of 64 bits, of the
        smallest of uint8, uint16, int16 and int32 that holds them.

    Raises:
        InputError: as `read_image`, and if there are values that are not whole or beyond int32, several channels, or
            segments that overlap.
    """
    path = Path(path)
    volume = _read(path)
    voxels = volume.voxels
    if voxels.ndim == 4 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim != 3:
        raise InputError(
            f"{path}: has {voxels.shape[-1]} channels; labels are one whole number per voxel. Is it an image, or a "
            "probability map?"
        )
    if voxels.dtype.kind == "f":
        _check_finite(path, voxels)
        fractions = voxels != np.rint(voxels)
        if fractions.any():
            first = tuple(np.argwhere(fractions)[0])
            raise InputError(
                f"{path}: {np.count_nonzero(fractions)} voxels are not whole numbers, the first {voxels[first]:g} at "
                f"{named(first)}; labels are. Is it an image, or were the labels interpolated? Resample labels with "
                "nearest neighbour."
            )
    return replace(volume, voxels=np.ascontiguousarray(narrowed(path, voxels)), source=path)


def _as_image(path: Path, volume: Volume) -> Volume:
    voxels = volume.voxels if volume.voxels.ndim == 4 else volume.voxels[..., None]
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is found below
        image = np.ascontiguousarray(voxels, dtype=np.float32)
    if voxels.dtype.kind == "f":
        _check_finite(path, image)
    return replace(volume, voxels=image, source=path)


def _check_finite(path: Path, voxels: NDArray[Any]) -> None:
    finite = np.isfinite(voxels)
    if not finite.all():
        first = np.argwhere(~finite)[0]
        raise InputError(
            f"{path}: {finite.size - np.count_nonzero(finite)} voxels are no numbers that float32 holds (NaN, infinite "
            f"or too large), the first at {named(first[:3])}. Replace them, by 0 for example, and save it again."
        )


def _read(path: Path) -> Volume:
    """Read any file; whatever a library says about a bad one becomes a sentence."""
    file, _ = split_dataset(path)
    if not file.exists():
        raise InputError(f"{file}: does not exist. Check the name and the folder.")
    kind = format_to_read(path)
    if file.is_file() and file.stat().st_size == 0:
        raise InputError(f"{file}: is empty (0 bytes). Copy or export it again.")
    try:
        volume = kind.read(path)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: does not fit in memory. Crop or downsample it.") from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read. Check its permissions.") from error
    # Libraries raise anything on damaged files, and untrusted files are expected here.
    except Exception as error:
        raise InputError(f"{path}: is cut off, damaged or no {kind.NAME}. Copy or export it again.") from error
    if volume.voxels.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: its voxels are {volume.voxels.dtype.name} values; expected one real number per channel. Export "
            "its magnitude, for example."
        )
    if 0 in volume.voxels.shape:
        raise InputError(f"{path}: has no voxels ({named(volume.grid.shape)}). Export the volume again.")
    return volume
