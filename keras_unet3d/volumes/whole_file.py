"""Outputs that appear whole or not at all: written beside, then renamed in."""

import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_unet3d.errors import InputError, writing
from keras_unet3d.volumes.suffixes import LABELS_GROUP, stem_of, suffix_of, within_zarr


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path beside `path`, with its suffix, and rename it in once the block has ended well.

    A block that fails leaves nothing new, and the old file, if there was one, as it was. A killed process also leaves
    the old file; its unfinished one stays beside it, hidden, named ``.<stem>.partial-…``, until the file is written
    again on the same machine.

    Raises:
        InputError: if the folder is missing or cannot be written to, or `path` is a folder.
        WorkError: if writing fails, on a full disk for example.
    """
    # The file itself, where `path` is a link to it.
    target = Path(path).resolve()
    check_parent(path)
    if target.is_dir():
        raise InputError(f"{path}: is a folder. Name a file to write.")
    _remove_leftovers(target)
    beside = _beside(target)
    try:
        with writing(path):
            yield beside
            flush(beside)
            beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def written_whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a new, empty folder beside `path` and rename it in once the block has ended well.

    Raises:
        InputError: if `path` exists and is no empty folder (nothing is ever deleted for it), or if its parent folder is
            missing or cannot be written to.
        WorkError: if writing fails, on a full disk for example.
    """
    target = Path(path).resolve()
    check_parent(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{path}: exists already. Remove it first, or choose another name.")
    _remove_leftovers(target)
    beside = _beside(target)
    try:
        with writing(path):
            beside.mkdir()
            yield beside
            for file in beside.rglob("*"):
                if file.is_file():
                    flush(file)
            if target.exists():
                target.rmdir()
            beside.replace(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_parent(path: str | os.PathLike[str]) -> None:
    """Make sure that something can be written at `path`; the group of an OME-Zarr image's labels is made when needed.

    Raises:
        InputError: if its folder is missing or cannot be written to.
    """
    parent = Path(path).resolve().parent
    if parent.name == LABELS_GROUP and within_zarr(parent) and not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(f"{path}: its folder {parent} does not exist. Create it, or choose another place.")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{path}: its folder {parent} cannot be written to. Choose another place.")


def _beside(target: Path, process: str | None = None) -> Path:
    """Hidden, never a number, which TensorFlow Serving would take for a version, and naming the process it is of."""
    process = f"{os.getpid()}-{secrets.token_hex(2)}" if process is None else process
    return target.with_name(f".{stem_of(target)}.partial-{platform.node()}-{process}{suffix_of(target)}")


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes of this machine left of the same output."""
    import psutil

    before, after = _beside(target, process="\0").name.split("\0")
    for entry in target.parent.iterdir():
        if entry.name.startswith(before) and entry.name.endswith(after):
            process = entry.name[len(before) :].partition("-")[0]
            if process.isdecimal() and not psutil.pid_exists(int(process)):
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def flush(file: Path) -> None:
    """Make sure that a file is on the disk itself."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
