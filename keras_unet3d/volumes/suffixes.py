"""File names: the suffix that decides the format, and the stem by which an image and its labels are matched."""

import os
import re
from pathlib import Path

_DOUBLE = (".nii.gz", ".seg.nrrd", ".ome.tif", ".ome.tiff")
_HDF5 = re.compile(r"(.+\.(?:h5|hdf5))(?::(.+))?", re.IGNORECASE)


def split_dataset(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split ``file.h5:group/labels`` into the file and the dataset within; None where no dataset is named."""
    match = _HDF5.fullmatch(os.fspath(path))
    return (Path(match[1]), match[2]) if match else (Path(path), None)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix that decides the format, in lower case: ``.nii.gz``, ``.seg.nrrd``, ``.ome.tif``, ``.tif``."""
    name = split_dataset(path)[0].name.lower()
    return next((suffix for suffix in _DOUBLE if name.endswith(suffix)), Path(name).suffix)


def stem_of(path: str | os.PathLike[str]) -> str:
    """The name without folder, suffix and dataset: ``stem_of("images/s1.v2.nii.gz") == "s1.v2"``."""
    name = split_dataset(path)[0].name
    suffix = suffix_of(path)
    return name[: len(name) - len(suffix)]
