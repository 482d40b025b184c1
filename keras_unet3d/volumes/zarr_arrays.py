"""Arrays of Zarr 2 and 3 in a folder, opened by nothing but what is known to be harmless."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import lt
from pathlib import Path
from typing import Any

from keras_unet3d.errors import InputError

CODECS = frozenset(
    {"bytes", "transpose", "sharding_indexed", "crc32c", "gzip", "zstd", "blosc"}  # Zarr 3
    | {"zlib", "bz2", "lz4", "lzma", "shuffle", "delta", "fixedscaleoffset", "crc32", "adler32", "fletcher32"}
)
"""That give numbers and do nothing else. Others of numcodecs run what the file holds, such as ``pickle``."""


def read_metadata(folder: Path) -> tuple[int, dict[str, Any]]:
    """The version of Zarr's format, and the metadata of a group or an array with its attributes.

    Raises:
        InputError: if the folder is neither.
    """
    for name, version in (("zarr.json", 3), (".zarray", 2), (".zgroup", 2), (".zattrs", 2)):
        if not (folder / name).is_file():
            continue
        told = _json(folder / name)
        if version == 2:
            attributes = folder / ".zattrs"
            told = {"attributes": _json(attributes) if attributes.is_file() else {}} | (
                told if name != ".zattrs" else {}
            )
        return version, told
    raise InputError(
        f"{folder}: is no Zarr group: it holds neither zarr.json nor .zgroup. Copy or export it again, or name another "
        "folder."
    )


def open_array(path: Path, folder: Path) -> Any:
    """An array, by zarr-python.

    Args:
        path: of the volume, for messages.
        folder: of the array.

    Raises:
        InputError: if zarr-python is not installed, or the array is packed by something that is not known here.
    """
    zarr = import_zarr(path)
    version, told = read_metadata(folder)
    packed = list(_codecs(told.get("codecs", ()))) if version == 3 else _filters(told)
    if unknown := sorted(set(packed) - CODECS):
        raise InputError(
            f"{path}: is packed by {', '.join(unknown)}, which is not opened here. Write it with one of zstd, gzip, "
            "blosc."
        )
    return zarr.open_array(str(folder), mode="r", zarr_format=version)


def chunk_file(folder: Path, array: Any, place: Sequence[int]) -> Path:
    """The file of a chunk, or of a shard where an array has them.

    Args:
        folder: of the array.
        array: of zarr-python.
        place: its number along each axis.
    """
    return folder / str(array.metadata.encode_chunk_key(tuple(place)))


def chunk_places(folder: Path, array: Any) -> Iterator[tuple[int, ...]]:
    """Where there are files of chunks, or of shards: their numbers along each axis, in no order.

    The folder is looked through once, so that it takes as long as there are files, however large the array is.
    """
    sizes = array.shards or array.chunks
    counts = [-(-length // size) for length, size in zip(array.shape, sizes, strict=True)]
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        within = Path(parent).relative_to(folder)
        if len(within.parts) > len(counts):  # no chunk lies deeper, however links lead
            folders.clear()
        for name in names:
            key = (within / name).as_posix()
            numbers = [part for part in re.split(r"[/.]", key) if part.isdecimal()]
            place = tuple(map(int, numbers))
            inside = len(place) == len(counts) and all(map(lt, place, counts))
            if inside and array.metadata.encode_chunk_key(place) == key:
                yield place


def _raise(error: OSError) -> None:
    raise error


def import_zarr(path: Path) -> Any:
    """The library, imported when a file is one of its own.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            f"{path}: OME-Zarr needs zarr-python, which is not installed: pip install 'keras-unet3d[zarr]'"
        ) from error
    return zarr


def _codecs(told: Any) -> Iterator[str]:
    """Names, those within shards too."""
    for codec in told:
        settings = codec.get("configuration") or {}
        yield str(codec["name"]).removeprefix("numcodecs.")
        yield from _codecs(settings.get("codecs", ()))
        yield from _codecs(settings.get("index_codecs", ()))


def _filters(told: Mapping[str, Any]) -> list[str]:
    """Names, in Zarr 2."""
    return [str(each["id"]) for each in (told.get("compressor"), *(told.get("filters") or ())) if each]


def _json(file: Path) -> dict[str, Any]:
    told = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        raise TypeError(f"{file} holds no object")
    return told
