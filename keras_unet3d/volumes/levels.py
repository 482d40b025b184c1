"""Levels of resolution by their number; only OME-Zarr has several."""

import os
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.opening import damage_is_a_sentence
from keras_unet3d.volumes.suffixes import within_zarr


def at_level(path: str | os.PathLike[str], level: int) -> Path:
    """The path of one level of an image, such as ``brain.ome.zarr/2``.

    Args:
        path: of an OME-Zarr image.
        level: counted from 0, the finest, in the order in which the image's metadata lists them.

    Raises:
        InputError: for any other format, a path that names a level already, or a level that is not there.
    """
    path = Path(path)
    if not within_zarr(path):
        raise InputError(f"{path}: has one resolution; levels to choose from are in OME-Zarr. Leave out --level.")
    if not path.exists():
        raise InputError(f"{path}: does not exist. Check the name and the folder.")
    from keras_unet3d.volumes.ome_zarr import level_path

    with damage_is_a_sentence(path):
        return level_path(path, level)
