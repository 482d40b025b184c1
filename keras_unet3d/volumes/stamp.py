"""What tells that a file is another than it was, without reading it."""

import math
import os
from pathlib import Path

from keras_unet3d.volumes.suffixes import LABELS_GROUP, split_dataset, within_zarr


def stamp(path: str | os.PathLike[str], at_most: float = math.inf) -> list[int]:
    """Size and date of a file; of a folder of Zarr, how many files are in it and the date of the newest.

    Label images within an image are not the image. What is not there has no stamp, nor has a folder of more files than
    `at_most`, which are not all looked at.
    """
    file, _ = split_dataset(path)
    if not file.exists():
        return []
    if not (file.is_dir() and within_zarr(file)):
        return [file.stat().st_size, file.stat().st_mtime_ns]
    files, newest = 0, 0
    folders = [file]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name != LABELS_GROUP:
                        folders.append(Path(entry.path))
                    continue
                files, newest = files + 1, max(newest, entry.stat().st_mtime_ns)
                if files > at_most:
                    return []
    return [files, newest]
