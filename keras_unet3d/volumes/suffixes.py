"""File names: the suffix that decides the format, and the stem by which an image and its labels are matched."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

_DOUBLE = (".nii.gz", ".seg.nrrd", ".ome.tif", ".ome.tiff", ".ome.zarr")
_FOLDERS = (".zarr", ".ome.zarr")
LABELS_GROUP = "labels"
"""Of an OME-Zarr image, in which its label images lie."""
_CHANNEL = re.compile(r"(?P<image>.+)_(?:(?P<four>\d{4})|c(?P<c>\d+))")
_HDF5 = re.compile(r"(.+\.(?:h5|hdf5))(?::(.+))?", re.IGNORECASE)


def split_dataset(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split ``file.h5:group/labels`` into the file and the dataset within; None where no dataset is named."""
    match = _HDF5.fullmatch(os.fspath(path))
    return (Path(match[1]), match[2]) if match else (Path(path), None)


def within_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a folder of Zarr, or a group or an array within: ``brain.ome.zarr/labels/cells``."""
    path = Path(path)
    return any(suffix_of(each.name) in _FOLDERS for each in (path, *path.parents) if each.name)


def shown_name(path: Path) -> str:
    """The name of a file; of what lies in a folder of Zarr, with that folder: ``brain.ome.zarr/2``."""
    folder = next((each for each in (path, *path.parents) if suffix_of(each.name) in _FOLDERS), path)
    return path.relative_to(folder.parent).as_posix()


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix that decides the format, in lower case: ``.nii.gz``, ``.seg.nrrd``, ``.ome.tif``, ``.tif``."""
    name = split_dataset(path)[0].name.lower()
    return next((suffix for suffix in _DOUBLE if name.endswith(suffix)), Path(name).suffix)


def stem_of(path: str | os.PathLike[str]) -> str:
    """The name without folder, suffix and dataset: ``stem_of("images/s1.v2.nii.gz") == "s1.v2"``.

    The name of a folder that is there is whole, but for Zarr's: those of DICOM series are often numbers with dots.
    """
    suffix = suffix_of(path)
    if Path(path).is_dir() and suffix not in _FOLDERS:
        return Path(path).name
    name = split_dataset(path)[0].name
    return name[: len(name) - len(suffix)]


def image_name(files: Sequence[str | os.PathLike[str]]) -> str:
    """What an image is called: the stem of its file, or that of its channels' files without the channel."""
    stem = stem_of(files[0])
    return split_channel(stem)[0] if len(files) > 1 else stem


def split_channel(stem: str) -> tuple[str, int | None]:
    """Split ``s1_0000`` and ``s1_c0``, which hold one channel, into ``("s1", 0)``; any other stem has None."""
    match = _CHANNEL.fullmatch(stem)
    return (match["image"], int(match["four"] or match["c"])) if match else (stem, None)
