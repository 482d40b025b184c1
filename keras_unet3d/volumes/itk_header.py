"""What SimpleITK neither tells of a NRRD or MetaImage header nor writes: unit of length, packing, voxels in slabs.

NRRD: ``space units`` (http://teem.sourceforge.net/nrrd/format.html); MetaImage: ``DistanceUnits`` (um, mm or cm).
"""

import re
from collections.abc import Iterable
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.deflate import write_deflated
from keras_unet3d.volumes.units import read_unit

_USUAL_HEADER, _LONGEST_HEADER = 1 << 16, 1 << 24
_ASCII = {"µm": "um"}

# SimpleITK writes these as keys of the user's; one byte then makes them the format's own.
_MARKS = {
    "nrrd": ("space units", b"\nspace units:=", b"\nspace units: "),
    "mha": ("DistanceUnitz", b"\nDistanceUnitz =", b"\nDistanceUnits ="),
}

_LEVEL = 2
"""Of zlib: what ITK itself uses."""

_LAST_LINE = b"\nElementDataFile = LOCAL\n"
_PACKED_SIZE = b"\nCompressedDataSize = "
_PACKED_DIGITS = 20
"""Room for the one number that is known only after the voxels; blanks in front of it mean nothing."""


def read_fields(path: Path) -> tuple[dict[str, str], int | None]:
    """The fields of the text header, names in lower case, and where it ends; None where it does not."""
    for length in (_USUAL_HEADER, _LONGEST_HEADER):
        with path.open("rb") as file:
            text = file.read(length)
        nrrd = text.startswith(b"NRRD")
        end = re.search(rb"\r?\n\r?\n" if nrrd else rb"ElementDataFile[^\n]*\n?", text)
        if end and end.end() < length:
            break
    lines = text[: end.end() if end else None].decode("utf-8", errors="replace").splitlines()
    pairs = (re.match(r"([^:=#]+?)\s*(?:: |=)\s*(.*)" if nrrd else r"(\w+)\s*=\s*(.*)", line) for line in lines)
    return {pair[1].lower(): pair[2].strip() for pair in pairs if pair}, end.end() if end else None


def unit_in(path: Path, fields: dict[str, str]) -> tuple[str, float]:
    """The unit of length, and the factor that brings lengths in the file to it.

    Raises:
        InputError: if the axes have different units.
    """
    text = fields.get("space units") or fields.get("units") or fields.get("distanceunits", "")
    units = {read_unit(name) for name in re.findall(r'"([^"]*)"|(\S+)', text) for name in name if name.strip()}
    if len(units) > 1:
        raise InputError(f"{path}: its axes have different units ({text}). Give all three the same unit.")
    return units.pop() if units else ("", 1.0)


def unit_key(path: Path, unit: str) -> dict[str, str]:
    """The key with which SimpleITK is to write the unit, before `mark_unit`; empty for an unknown unit."""
    text = _ASCII.get(unit, unit)
    name = _MARKS[_kind(path)][0]
    if not text:
        return {}
    return {name: f'"{text}" "{text}" "{text}"' if _kind(path) == "nrrd" else text}


def mark_unit(path: Path) -> None:
    """Make the key of `unit_key` the format's own field, in place."""
    _, written, meant = _MARKS[_kind(path)]
    with path.open("r+b") as file:
        position = file.read(_LONGEST_HEADER).find(written)
        file.seek(position)
        file.write(meant)


def append_voxels(path: Path, shape: tuple[int, int, int], parts: Iterable[memoryview], *, compressed: bool) -> None:
    """Put voxels in the place of the one that SimpleITK wrote, and their size into the header.

    Args:
        path: a file of one voxel, compressed or not.
        shape: voxels along z, y, x.
        parts: the voxels' bytes, in their order.
        compressed: as the file says.
    """
    nrrd = _kind(path) == "nrrd"
    with path.open("r+b") as file:
        header = _resized(file.read(), shape, nrrd=nrrd)
        file.seek(0)
        file.write(header)
        file.truncate()
        if not compressed:
            file.writelines(parts)
            return
        write_deflated(file, parts, container="gzip" if nrrd else "zlib", level=_LEVEL)
        if not nrrd:
            packed = file.tell() - len(header)
            place = header.index(_PACKED_SIZE) + len(_PACKED_SIZE)
            file.seek(place)
            file.write(b"%*d" % (_PACKED_DIGITS, packed))


def _resized(content: bytes, shape: tuple[int, int, int], *, nrrd: bool) -> bytes:
    """The header at the start of a file of one voxel, of as many voxels as there will be."""
    size = " ".join(str(length) for length in reversed(shape)).encode()
    if nrrd:
        header = content[: content.index(b"\n\n") + 2]
        return re.sub(rb"\n(sizes: (?:\d+ )?)1 1 1\n", rb"\n\g<1>%b\n" % size, header, count=1)
    header = content[: content.rindex(_LAST_LINE) + len(_LAST_LINE)]
    header = re.sub(_PACKED_SIZE + rb"\d+", _PACKED_SIZE + b" " * _PACKED_DIGITS, header, count=1)
    return re.sub(rb"\nDimSize = 1 1 1\n", rb"\nDimSize = %b\n" % size, header, count=1)


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
