"""Where the voxels of a NRRD or MetaImage lie, and in which order, as far as they can be read without SimpleITK.

NRRD: http://teem.sourceforge.net/nrrd/format.html; MetaImage: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.volumes.raw_voxels import planes_in_order

_SKIPS = ("line skip", "lineskip", "byte skip", "byteskip", "headersize")
_RESCALING = ("elementtointensityfunctionslope", "elementtointensityfunctionoffset")


@dataclass(frozen=True)
class StoredVoxels:
    """Voxels that follow one another in one file.

    Attributes:
        file: where they lie.
        first: their first byte, or that of the compressed stream.
        packed: whether they are compressed, by gzip or zlib.
        order: of their bytes.
        channels_last: whether each channel is a volume of its own, one after the other; else they alternate.
    """

    file: Path
    first: int
    packed: bool
    order: Literal["<", ">"]
    channels_last: bool

    @property
    def size(self) -> int:
        """Bytes that the file has for them."""
        return self.file.stat().st_size - self.first

    def planes(self, shape: Sequence[int], channels: int, itemsize: int) -> tuple[NDArray[np.int64], int]:
        """The first byte of every plane ``(z, channel)``, once unpacked, and how many channels alternate in one."""
        depth, height, width = shape
        apart = channels if self.channels_last else 1
        first = 0 if self.packed else self.first
        return planes_in_order(first, depth, apart, height * width * itemsize * (channels // apart)), channels // apart


def stored_voxels(
    path: Path, fields: Mapping[str, str], end: int | None, size: Sequence[int], components: int, itemsize: int
) -> StoredVoxels | None:
    """Find the voxels; None for everything that is unusual, which SimpleITK then reads.

    Args:
        path: the file with the header.
        fields: of the header, names in lower case.
        end: of the header; None where it has none.
        size: along x, y, z and perhaps a fourth axis, as SimpleITK has it.
        components: of a vector, as SimpleITK has it.
        itemsize: bytes of a number.
    """
    if any(fields.get(name, "0") != "0" for name in _SKIPS) or any(name in fields for name in _RESCALING):
        return None
    metaimage = "elementdatafile" in fields
    packed = _packed_metaimage(fields) if metaimage else _packed_nrrd(fields)
    order = _order(fields, itemsize)
    channels_last = len(size) == 4 if metaimage else _channels_last(fields, size, components)
    name = fields.get("elementdatafile", "LOCAL") if metaimage else fields.get("data file", fields.get("datafile"))
    if packed is None or order is None or channels_last is None:
        return None
    if name is None or name == "LOCAL":
        return None if end is None else StoredVoxels(path, end, packed, order, channels_last)
    file = _beside(path, name)
    return None if file is None else StoredVoxels(file, 0, packed, order, channels_last)


def _packed_nrrd(fields: Mapping[str, str]) -> bool | None:
    return {"raw": False, "gzip": True, "gz": True}.get(fields.get("encoding", "").lower())


def _packed_metaimage(fields: Mapping[str, str]) -> bool | None:
    # MET_LONG has another size in MetaImage than in ITK.
    if not _true(fields.get("binarydata", "")) or "LONG" in fields.get("elementtype", "LONG"):
        return None
    return _true(fields.get("compresseddata", ""))


def _order(fields: Mapping[str, str], itemsize: int) -> Literal["<", ">"] | None:
    orders = {fields[name].lower() == "big" for name in ("endian",) if name in fields}
    orders |= {_true(fields[name]) for name in ("binarydatabyteordermsb", "elementbyteordermsb") if name in fields}
    if len(orders) > 1 or (not orders and itemsize > 1):
        return None
    return ">" if True in orders else "<"


def _channels_last(fields: Mapping[str, str], size: Sequence[int], components: int) -> bool | None:
    """How a NRRD's own axes, whose first is the fastest, became those of SimpleITK, which puts vectors first."""
    sizes = fields.get("sizes", "").split()
    space = [str(length) for length in size]
    vector = str(components)
    if components == 1 and sizes == space:
        return len(size) == 4
    alternating, apart = sizes == [vector, *space], sizes == [*space, vector]
    return apart if len(size) == 3 and alternating != apart else None


def _true(text: str) -> bool:
    return text[:1].lower() in {"t", "1"}


def _beside(path: Path, name: str) -> Path | None:
    """One data file in the header's own folder; None for lists, patterns and paths that lead elsewhere."""
    folder = path.resolve().parent
    file = (folder / name).resolve()
    return file if file.parent == folder and "%" not in name and file.is_file() else None
