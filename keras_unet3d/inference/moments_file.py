"""Moments on disk, for whoever goes on with a segmentation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_unet3d.inference.moments import Fixed
from keras_unet3d.volumes.whole_file import written_whole


def write_moments(path: Path, moments: Mapping[str, Fixed]) -> None:
    """Write moments by network and by name.

    Raises:
        WorkError: if they cannot be written.
    """
    arrays = {f"{of}|{name}": np.stack(both) for of, known in moments.items() for name, both in known.items()}
    with written_whole(path) as file, file.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def read_moments(path: Path) -> dict[str, Fixed]:
    """Read them; none, if nothing was written.

    Raises:
        OSError: if the file cannot be read; ValueError or BadZipFile, if it is damaged.
    """
    moments: dict[str, Fixed] = {}
    if path.exists():
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                network, _, name = key.partition("|")
                mean, variance = arrays[key]
                moments.setdefault(network, {})[name] = (mean, variance)
    return moments
