"""Reading whole images and label maps, of any format, with everything that can be wrong with them said."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.label_types import narrowed
from keras_unet3d.volumes.opening import PathLike, damage_is_a_sentence, not_finite, opened_file, opened_image
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Volume


def read_image(path: PathLike | Sequence[PathLike]) -> Volume:
    """Read an image; several files are the channels of one.

    The format goes by the suffix: ``.nii`` ``.nii.gz`` ``.nrrd`` ``.nhdr`` ``.mha`` ``.mhd`` ``.tif`` ``.tiff``
    ``.ome.tif``, ``file.h5:dataset``, or a folder of one DICOM series.

    Returns:
        The volume, voxels float32 ``(z, y, x, channel)``, with the header for writing the same format.

    Raises:
        InputError: if a file is missing, damaged, no volume, larger than memory or holds values that are no numbers, or
            if several files do not share a grid (to 1 % of a voxel).
    """
    with ExitStack() as closing:
        volume = opened_image(path, Opening(closing, whole=True))
        return replace(volume, voxels=volume.voxels[:])


def read_labels(path: PathLike) -> Volume:
    """Read a label map: the formats of `read_image`, and ``.seg.nrrd`` of 3D Slicer with its segments.

    Returns:
        The volume, voxels integers ``(z, y, x)``: of the file's own type, or, where that is float or of 64 bits, of the
        smallest of uint8, uint16, int16 and int32 that holds them.

    Raises:
        InputError: as `read_image`, and if there are values that are not whole or beyond int32, several channels, or
            segments that overlap.
    """
    path = Path(path)
    with ExitStack() as closing:
        volume = opened_file(path, Opening(closing, whole=True))
        channels = volume.voxels.shape[3]
        if channels > 1:
            raise InputError(
                f"{path}: has {channels} channels; labels are one whole number per voxel. Is it an image, or a "
                "probability map?"
            )
        with damage_is_a_sentence(path):
            voxels = volume.voxels[:][..., 0]
    if voxels.dtype.kind == "f":
        finite = np.isfinite(voxels)
        if not finite.all():
            raise not_finite(path, finite.size - np.count_nonzero(finite), np.argwhere(~finite)[0])
        fractions = voxels != np.rint(voxels)
        if fractions.any():
            first = tuple(np.argwhere(fractions)[0])
            raise InputError(
                f"{path}: {np.count_nonzero(fractions)} voxels are not whole numbers, the first {voxels[first]:g} at "
                f"{named(first)}; labels are. Is it an image, or were the labels interpolated? Resample labels with "
                "nearest neighbour."
            )
    return replace(volume, voxels=np.ascontiguousarray(narrowed(path, voxels)))
