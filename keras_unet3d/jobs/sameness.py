"""What decides a segmentation: a killed one is only gone on with if all of it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from keras_unet3d.annotation import Meaning
from keras_unet3d.jobs.models import PathLike, name_of
from keras_unet3d.volumes import Volume
from keras_unet3d.volumes.slabs import bytes_of, in_slabs
from keras_unet3d.volumes.stamp import stamp
from keras_unet3d.volumes.suffixes import split_dataset, within_zarr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.serving.description import ModelDescription

MANY_FILES = 20_000
"""Of an OME-Zarr with more, only the metadata tell that it has changed: to look at all of them would take minutes."""


def facts_of(
    image: Any,
    models: Sequence[tuple[Any, ModelDescription]],
    options: SegmentOptions,
    keep: PathLike | None = None,
    meaning: Meaning | None = None,
) -> dict[str, Any]:
    """The facts, ready for JSON; `meaning` is that of the unpainted voxels of `keep`."""
    files = [image] if isinstance(image, str | Path | Volume) else list(image)
    return {
        "image": [_held_facts(file) if isinstance(file, Volume) else _file_facts(file) for file in files],
        "model": [[name_of(model), description.created.isoformat()] for model, description in models],
        "annotation": _file_facts(keep) if keep is not None else None,
        "meaning of unpainted voxels": str(meaning or Meaning()) if keep is not None else None,
        "precision": options.precision,
        "processor": "any" if options.precision != "auto" else _processor(),
        "statistics": options.statistics,
        "--tta": options.mirrored,
        "probabilities": bool(options.probabilities),
        "uncertainty": options.computes_uncertainty,
        "region": str(options.region) if options.region else None,
        "level": options.level,
    }


def _held_facts(volume: Volume) -> list[Any]:
    checksum = 0
    for part in in_slabs(volume.voxels):
        checksum = crc32(bytes_of(part), checksum)
    return [str(volume.source or "a volume in memory"), *volume.voxels.shape, str(volume.voxels.dtype), checksum]


def _file_facts(path: PathLike) -> list[Any]:
    found = stamp(path, at_most=MANY_FILES)
    if not found and within_zarr(path):
        file, _ = split_dataset(path)
        described = [file / name for name in ("zarr.json", ".zattrs", ".zarray", ".zgroup")]
        found = next(filter(None, map(stamp, described)), [])
    return [str(Path(path).resolve()), *found]


def _processor() -> str:
    """What the automatic precision depends on."""
    from keras_unet3d.inference.devices import has_bfloat16

    return "with bfloat16" if has_bfloat16((None,)) else "without bfloat16"
