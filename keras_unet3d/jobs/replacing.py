"""What a label map may take the place of."""

from pathlib import Path

import numpy as np

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.volumes import open_image, suffix_of
from keras_unet3d.volumes.slabs import in_slabs


def check_replaced(output: Path, scheme: LabelScheme) -> None:
    """Make sure that only a label map is replaced: in ``segment a.nii b.nii``, b.nii may be meant as an IN.

    Raises:
        InputError: if something else is there.
    """
    if not output.is_file() or suffix_of(output) in (".h5", ".hdf5"):  # HDF5 keeps its other datasets
        return
    try:
        _check_labels(output, scheme)
    except InputError as error:
        raise InputError(
            f"{output}: exists, and is no label map of this model, so it is not replaced. Remove it, name another "
            "file, or segment several images with --out-dir FOLDER."
        ) from error


def _check_labels(path: Path, scheme: LabelScheme) -> None:
    """Refuse a file that is no label map of these classes; slab by slab, as it may be larger than memory."""
    with open_image(path) as volume:
        for slab in in_slabs(volume.voxels):
            whole = slab.astype(np.int64)
            if slab.shape[-1] > 1 or (whole != slab).any():
                raise InputError(f"{path}: is no label map.")
            scheme.class_index(whole)
