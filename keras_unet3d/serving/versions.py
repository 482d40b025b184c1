"""The folder of a served model, ``<name>/<version>/``, as TensorFlow Serving polls it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.whole_file import written_whole_folder

GRAPH_FILE = "saved_model.pb"


def versions(folder: Path) -> list[int]:
    """Version numbers in a model's folder, oldest first: every subfolder whose name is a whole number."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.is_dir() and _is_version(entry.name))


def version_folder(path: str | os.PathLike[str]) -> Path:
    """Find the SavedModel that a user names: a version, or a model's folder, whose newest version it is.

    Raises:
        InputError: if there is no such folder, or no SavedModel in it.
    """
    folder = Path(path)
    if (folder / GRAPH_FILE).is_file():
        return folder
    if not folder.exists():
        raise InputError(f"{folder}: there is no such model. Name the folder of a model, such as models/unet3d.")
    if not folder.is_dir():
        raise InputError(
            f"{folder}: is a file; a model is the folder that was exported after training, such as models/unet3d."
        )
    found = versions(folder)
    if not found:
        raise InputError(
            f"{folder}: is no model: it holds neither {GRAPH_FILE} nor a version, a folder named 1, 2, … with one."
        )
    newest = _folder_of(folder, found[-1])
    if not (newest / GRAPH_FILE).is_file():
        raise InputError(f"{newest}: is no model: it holds no {GRAPH_FILE}. Export again, or remove this version.")
    return newest


def next_version(folder: Path) -> Path:
    """Where the next version of a model goes: one above the newest."""
    return folder / str(max(versions(folder), default=0) + 1)


@contextmanager
def written_version(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Give the next version of a model, and a folder to fill, which becomes it once the block has ended well.

    Raises:
        InputError: if the model's folder cannot be written to.
        WorkError: if writing fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}). Name another folder.") from error
    version = next_version(folder)
    with written_whole_folder(version) as unfinished:
        yield version, unfinished


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _folder_of(folder: Path, version: int) -> Path:
    """The subfolder of a version; its name may have leading zeros."""
    names = [entry.name for entry in folder.iterdir() if entry.is_dir() and _is_version(entry.name)]
    return folder / next(name for name in sorted(names) if int(name) == version)
