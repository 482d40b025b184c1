"""Opening images of any format, so that parts of them are read when they are wanted."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.formats import format_to_read
from keras_unet3d.volumes.suffixes import split_dataset
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.voxels import Part, Voxels, as_array, held_bytes, read_together

PathLike = str | os.PathLike[str]


@contextmanager
def open_image(path: PathLike | Sequence[PathLike], *, scratch: PathLike | None = None) -> Iterator[Volume]:
    """Open an image of any size, whose parts are read when they are wanted; several files are the channels of one.

    What `read_image` would give, but ``volume.voxels`` are `Voxels`: ``volume.voxels[2:6, :, 10:20]`` is read from the
    file. Several threads may read. Files that are not compressed, and HDF5, are read in place; compressed ones are
    unpacked first, small ones into memory, others into a file in `scratch` that is gone when the context ends. DICOM
    series and rare kinds of the other formats are in memory as a whole; `held_bytes` tells how much that is.

    Args:
        path: one file of the formats of `read_image`, or one per channel.
        scratch: a folder, on a disk with room for the unpacked voxels; by default the system's for temporary files.

    Yields:
        The volume, voxels float32 ``(z, y, x, channel)``, valid within the context.

    Raises:
        InputError: as `read_image`, but values that are no numbers are found when their part is read; and if the disk
            has no room for what must be unpacked.
    """
    with ExitStack() as closing:
        yield opened_image(path, Opening(closing, whole=False, scratch=None if scratch is None else Path(scratch)))


def opened_image(path: PathLike | Sequence[PathLike], opening: Opening) -> Volume:
    """The image of `open_image`, as long as `opening` is not closed.

    Raises:
        InputError: as `open_image`.
    """
    paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]
    if not paths:
        raise InputError("No image file is named. Expected at least one.")
    images = [opened_file(one, opening) for one in paths]
    first = images[0]
    for one, image in zip(paths[1:], images[1:], strict=True):
        if not image.grid.agrees(first.grid):
            raise InputError(
                f"{one}: {image.grid}; but {paths[0]} has {first.grid}. The channels of an image share one grid: "
                "resample one file on the grid of the other."
            )
    voxels = _ImageVoxels([_Stored(one, image.voxels) for one, image in zip(paths, images, strict=True)])
    names = tuple(name for image in images for name in image.channels)
    return replace(first, voxels=as_array(voxels), channels=names if len(names) == voxels.shape[3] else ())


def opened_file(path: Path, opening: Opening) -> Volume:
    """Open any file; voxels ``(z, y, x, channel)`` in its own number type, as long as `opening` is not closed.

    Raises:
        InputError: if the file is missing, damaged, no volume, or holds no real numbers.
    """
    file, _ = split_dataset(path)
    if not file.exists():
        raise InputError(f"{file}: does not exist. Check the name and the folder.")
    kind = format_to_read(path)
    if file.is_file() and file.stat().st_size == 0:
        raise InputError(f"{file}: is empty (0 bytes). Copy or export it again.")
    with damage_is_a_sentence(path):
        volume = kind.opened(path, opening)
    if volume.voxels.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: its voxels are {volume.voxels.dtype.name} values; expected one real number per channel. Export "
            "its magnitude, for example."
        )
    if 0 in volume.voxels.shape:
        raise InputError(f"{path}: has no voxels ({named(volume.grid.shape)}). Export the volume again.")
    return replace(volume, source=path)


@contextmanager
def damage_is_a_sentence(path: Path) -> Iterator[None]:
    """Whatever a library says about a bad file becomes a sentence.

    Raises:
        InputError: for any error.
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: does not fit in memory. Crop or downsample it.") from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read. Check its permissions.") from error
    # Libraries raise anything on damaged files, and untrusted files are expected here.
    except Exception as error:
        raise InputError(
            f"{path}: is cut off, damaged or no {format_to_read(path).NAME}. Copy or export it again."
        ) from error


def not_finite(path: Path, count: int, first: Sequence[int]) -> InputError:
    """The error for values that are no numbers, of which there are `count`, the first at `first` (z, y, x)."""
    return InputError(
        f"{path}: {count} voxels are no numbers that float32 holds (NaN, infinite or too large), the first at "
        f"{named(first)}. Replace them, by 0 for example, and save it again."
    )


@dataclass(frozen=True)
class _Stored:
    """Voxels ``(z, y, x, channel)`` as a file has them."""

    path: Path
    voxels: Voxels

    def read_into(self, target: NDArray[np.float32], box: Box) -> None:
        """Convert `box`, block by block, and make sure that all of it are numbers."""
        count, first = 0, (0, 0, 0)
        voxel_bytes = self.voxels.shape[3] * max(self.voxels.dtype.itemsize, target.itemsize)
        for block in blocks(box, voxel_bytes, read_together(self.voxels)):
            part = target[block.shifted([-start for start in box.start]).slices]
            with damage_is_a_sentence(self.path):
                stored = self.voxels[block.slices]
            with np.errstate(over="ignore"):  # beyond float32 becomes infinite
                part[...] = stored
            if stored.dtype.kind == "f" and not (finite := np.isfinite(part)).all():
                z, y, x, _ = np.argwhere(~finite)[0]
                place = (block.start[0] + int(z), block.start[1] + int(y), block.start[2] + int(x))
                first = min(first, place) if count else place
                count += finite.size - int(np.count_nonzero(finite))
        if count:
            raise not_finite(self.path, count, first)


class _ImageVoxels:
    """An image, float32 ``(z, y, x, channel)``, of the channels of one or several files."""

    ndim = 4
    dtype: np.dtype[Any] = np.dtype(np.float32)

    def __init__(self, files: Sequence[_Stored]) -> None:
        self._files = files
        self.shape = (*files[0].voxels.shape[:3], sum(file.voxels.shape[3] for file in files))
        self.held_bytes = sum(held_bytes(file.voxels) for file in files)
        z, y, x = (max(sizes) for sizes in zip(*(read_together(file.voxels) for file in files), strict=True))
        self.together = z, y, x

    def __getitem__(self, part: Part, /) -> NDArray[np.float32]:
        box = Box.of(part, self.shape)
        voxels = np.empty((*box.shape, self.shape[3]), np.float32)
        channel = 0
        for file in self._files:
            channels = file.voxels.shape[3]
            file.read_into(voxels[..., channel : channel + channels], box)
            channel += channels
        return voxels
