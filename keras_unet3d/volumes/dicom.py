"""A folder of one DICOM series, through SimpleITK."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.declared import check_declared
from keras_unet3d.volumes.itk import grid_of, quiet_simpleitk
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Volume

NAME = "DICOM series"

_DESCRIPTION = "0008|103e"
_MODALITY = "0008|0060"
_CALLED = {"MR": "MRI"}
"""As the datasets of the Medical Segmentation Decathlon call it."""
_POSITION = "0020|0032"


def opened(path: Path, opening: Opening) -> Volume:
    """Read the one series in a folder, whole, in mm; rescale slope and intercept are applied.

    A single channel is called by its modality, such as CT or MRI.

    Raises:
        InputError: if the folder holds no series or several, or if slices are missing.
    """
    sitk = quiet_simpleitk()
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
    if not series:
        raise InputError(
            f"{path}: holds no DICOM series. Name a folder with the slices of one series, or another file."
        )
    files = {identity: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), identity) for identity in series}
    if len(series) > 1:
        found = ", ".join(
            f"{_said(_information(names[0]), _DESCRIPTION) or identity} ({len(names)} files)"
            for identity, names in files.items()
        )
        raise InputError(f"{path}: holds {len(series)} DICOM series: {found}. Move each into a folder of its own.")
    names = files[series[0]]
    first = _information(names[0])
    width, height, *others = first.GetSize()
    depth = len(names) * (others[0] if others else 1)
    check_declared(path, (depth, height, width), np.int32, channels=first.GetNumberOfComponents(), floats=opening.whole)
    if len(names) > 1:
        _check_positions(path, names)
    image = sitk.ReadImage(names if len(names) > 1 else names[0])
    voxels = sitk.GetArrayFromImage(image)
    if voxels.ndim == 4:
        return Volume(voxels, grid_of(image, "mm"))
    modality = _said(first, _MODALITY)
    channels = (_CALLED.get(modality, modality),) if modality else ()
    return Volume(voxels[..., None], grid_of(image, "mm"), channels)


def _information(name: str) -> Any:
    """A reader that has read the header of one file."""
    reader = quiet_simpleitk().ImageFileReader()
    reader.SetFileName(name)
    reader.ReadImageInformation()
    return reader


def _said(header: Any, key: str) -> str:
    return header.GetMetaData(key).strip() if header.HasMetaDataKey(key) else ""


def _check_positions(path: Path, names: tuple[str, ...]) -> None:
    """Refuse missing and doubled slices, which SimpleITK only warns of."""
    headers = [_information(name) for name in names]
    sizes = {header.GetSize()[:2] for header in headers}
    if len(sizes) > 1:
        found = ", ".join(f"x={x} y={y}" for x, y in sorted(sizes))
        raise InputError(f"{path}: its slices differ in size ({found}). Move each size into a folder of its own.")
    if not all(header.HasMetaDataKey(_POSITION) for header in headers):
        return
    places = np.array([[float(part) for part in header.GetMetaData(_POSITION).split("\\")] for header in headers])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > 0.05 * max(usual, 1e-6))
    if len(uneven) or usual <= 0:
        at = int(uneven[0]) if len(uneven) else 0
        raise InputError(
            f"{path}: slices are missing or doubled: {Path(names[at]).name} and {Path(names[at + 1]).name} lie "
            f"{steps[at]:.4g} mm apart, slices usually {usual:.4g} mm. Export the whole series again."
        )
