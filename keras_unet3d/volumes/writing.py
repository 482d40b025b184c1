"""Writing images and label maps, of any format, whole or not at all, slab by slab: memory does not grow with them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_unet3d.errors import UNet3DError, WorkError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.formats import format_to_write
from keras_unet3d.volumes.label_types import label_type
from keras_unet3d.volumes.slabs import Converted
from keras_unet3d.volumes.suffixes import split_dataset, stem_of, within_zarr
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import as_array
from keras_unet3d.volumes.whole_file import written_whole, written_whole_folder

_IMAGE_TYPES = ("uint8", "uint16", "int16", "float32")


def write_image(path: str | os.PathLike[str], volume: Volume) -> None:
    """Write an image, or a probability map, on exactly the volume's grid.

    The same format as was read gets the same header. Other formats get the grid, in its own unit where the format has a
    place for it (NIfTI: m, mm, µm; MetaImage: cm, mm, µm; else converted to one of these). TIFF and HDF5 know spacing
    and unit only; origin and direction lie in a line beside, which `read_image` reads.

    Args:
        path: where to, ``.nii`` ``.nii.gz`` ``.nrrd`` ``.mha`` ``.tif`` ``.tiff`` ``.ome.tif`` ``.ome.tiff``,
            ``file.h5:dataset`` (other datasets in that file stay) or ``.ome.zarr``, which must not be there yet.
        volume: voxels ``(z, y, x, channel)``, in memory or any other `Voxels`; written as they are if uint8, uint16,
            int16 or float32, else as float32.

    Raises:
        InputError: if the format is not written, or the folder does not exist.
        WorkError: if writing fails.
    """
    _check_shape(volume, 4)
    kind = volume.voxels.dtype.name if volume.voxels.dtype.name in _IMAGE_TYPES else "float32"
    _write(Path(path), volume, kind, labels=False)


def write_labels(path: str | os.PathLike[str], volume: Volume) -> None:
    """Write a label map on exactly the volume's grid, as `write_image` does, or with its segments as ``.seg.nrrd``.

    Args:
        path: where to.
        volume: voxels ``(z, y, x)``, in memory or any other `Voxels`; integers, written in their own type; 64 bits and
            truth values in the smallest of uint8, uint16, int16 and int32 that holds them, for which they are read
            twice.

    Raises:
        InputError: if the format is not written, the folder does not exist, or a label is beyond int32.
        WorkError: if writing fails.
    """
    _check_shape(volume, 3)
    if volume.voxels.dtype.kind not in "biu":
        raise ValueError(f"Expected labels of an integer type. Received: {volume.voxels.dtype}")
    _write(Path(path), volume, label_type(Path(path), volume.voxels), labels=True)


def _write(path: Path, volume: Volume, dtype: Any, *, labels: bool) -> None:
    kind = format_to_write(path)
    if volume.voxels.dtype != dtype:
        volume = replace(volume, voxels=as_array(Converted(volume.voxels, dtype)))
    if within_zarr(path):
        _write_folder(path, volume, labels=labels)
        return
    file, dataset = split_dataset(path)
    with written_whole(file) as beside:
        if dataset and file.exists():
            shutil.copyfile(file, beside)
        try:
            kind.write(Path(f"{beside}:{dataset}") if dataset else beside, volume, labels=labels)
        except (OSError, UNet3DError):
            raise
        except RuntimeError as error:  # SimpleITK's and HDF5's word for a full disk
            raise WorkError(f"{path}: could not be written. Is the disk full?") from error


def _write_folder(path: Path, volume: Volume, *, labels: bool) -> None:
    """Nothing that is there is replaced: a folder may hold more than was written here."""
    from keras_unet3d.volumes import ome_zarr_writing

    ome_zarr_writing.prepare(path)
    with written_whole_folder(path) as beside:
        ome_zarr_writing.write(beside, volume, labels=labels, name=stem_of(path))
    ome_zarr_writing.register(path)


def _check_shape(volume: Volume, axes: int) -> None:
    shape = volume.voxels.shape
    if len(shape) != axes or shape[:3] != volume.grid.shape or 0 in shape:
        raise ValueError(f"Expected voxels with {axes} axes on {named(volume.grid.shape)}. Received: {shape}")
