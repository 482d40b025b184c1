"""Which module reads and writes which file, by suffix."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.suffixes import suffix_of, within_zarr
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Volume


class Reader(Protocol):
    """A module that reads a family of file formats."""

    NAME: str

    def opened(self, path: Path, opening: Opening) -> Volume:
        """Open voxels ``(z, y, x, channel)`` of the file's own number type, left in it where possible."""


class Format(Reader, Protocol):
    """A module that also writes them."""

    def write(self, path: Path, volume: Volume, *, labels: bool) -> None:
        """Write an image ``(z, y, x, channel)`` or labels ``(z, y, x)``, of the number types that `writing` lets in."""


_MODULES = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "itk",
    ".nhdr": "itk",
    ".seg.nrrd": "seg_nrrd",
    ".mha": "itk",
    ".mhd": "itk",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".ome.tif": "tiff",
    ".ome.tiff": "tiff",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".zarr": "ome_zarr",
    ".ome.zarr": "ome_zarr",
}
_DETACHED = {".nhdr": ".nrrd", ".mhd": ".mha"}
"""Headers whose voxels lie in another file cannot be renamed in whole; what is written instead."""

READABLE = tuple(_MODULES)
"""Suffixes of files, and of folders of Zarr, that are read; folders of DICOM files come to them."""

WRITABLE = tuple(suffix for suffix in _MODULES if suffix not in _DETACHED)
"""Suffixes of files that are written."""


def format_to_read(path: Path) -> Reader:
    """The module that reads a file, or a folder of DICOM files or of Zarr.

    Raises:
        InputError: for an unknown suffix; the message lists those that are known.
    """
    if within_zarr(path):
        return _module("ome_zarr")
    if path.is_dir():
        return _module("dicom")
    suffix = suffix_of(path)
    if suffix not in _MODULES:
        raise InputError(
            f"{path}: files ending in {suffix or 'no suffix'} are not read. Expected one of {' '.join(READABLE)}, or a "
            "folder of one DICOM series. What microscopes write otherwise, Fiji saves as TIFF."
        )
    return _module(_MODULES[suffix])


def format_to_write(path: Path) -> Format:
    """The module that writes a file.

    Raises:
        InputError: for a suffix that is not written; the message lists those that are.
    """
    if within_zarr(path):
        return _module("ome_zarr")
    suffix = suffix_of(path)
    if suffix not in WRITABLE:
        instead = (
            f"{suffix} has its voxels in a second file: write {_DETACHED[suffix]}. " if suffix in _DETACHED else ""
        )
        raise InputError(
            f"{path}: files ending in {suffix or 'no suffix'} are not written. {instead}Expected one of "
            f"{' '.join(WRITABLE)}."
        )
    return _module(_MODULES[suffix])


def _module(name: str) -> Format:
    # Imported when used: the libraries behind them take long.
    return cast("Format", import_module(f"keras_unet3d.volumes.{name}"))
