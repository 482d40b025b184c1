"""Reading a dataset folder: with ``dataset.json``, or two folders of files with matching names."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from keras_unet3d.annotation.dataset import Case, Dataset
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.matching import channel_files, match_folders
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES
from keras_unet3d.volumes.suffixes import image_name
from keras_unet3d.volumes.units import read_unit

_FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"))


def read_dataset(folder: str | os.PathLike[str]) -> Dataset:
    """Find out what a dataset consists of; no volume is read yet.

    Read are a ``dataset.json`` of the Medical Segmentation Decathlon (with the list ``training``) or of nnU-Net v2
    (with the folders ``imagesTr`` and ``labelsTr``, or the dict ``dataset``), else the folders ``images`` and
    ``labels`` or ``imagesTr`` and ``labelsTr`` with matching names. In ``dataset.json``, ``spacing`` may say
    ``{"z": 2, "y": 1, "x": 1, "unit": "µm"}`` for files that carry none.

    Datasets are not trusted: a path in ``dataset.json`` that leaves the folder is refused.

    Raises:
        InputError: if there is no such dataset, or its ``dataset.json`` cannot be understood. Problems with single
            files are listed in the result, so that all of them come together.
    """
    folder = Path(folder)
    if folder.name == "dataset.json" and folder.is_file():
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder. Give one with dataset.json, with images/ and labels/, or with "
            "imagesTr/ and labelsTr/."
        )
    path = folder / "dataset.json"
    description = _read_json(path) if path.exists() else {}
    try:
        cases, problems = _cases(folder, description)
        spacing, unit = _spacing(description)
        return Dataset(
            cases=tuple(cases),
            scheme=_scheme(description),
            channel_names=_channel_names(description),
            spacing=spacing,
            spacing_unit=unit,
            name=str(description.get("name") or folder.resolve().name),
            folder=folder,
            problems=tuple(problems),
        )
    except InputError as error:
        raise InputError(f"{path if description else folder}: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is no readable JSON ({error}). Correct it.") from None
    if not isinstance(description, dict):
        raise InputError(
            f"{path}: expected an object with 'labels' and 'training'. Found: {type(description).__name__}"
        )
    return description


def _cases(folder: Path, description: Mapping[str, Any]) -> tuple[list[Case], list[Problem]]:
    """The cases that ``dataset.json`` lists, else those of the two folders."""
    for key in ("training", "dataset"):
        if description.get(key):
            return _listed_cases(folder, key, description[key])
    for images, labels in _FOLDERS:
        if (folder / images).is_dir() or (folder / labels).is_dir():
            ending = description.get("file_ending")
            cases, problems = match_folders(folder, images, labels, ending if isinstance(ending, str) else None)
            if not cases and not problems:
                problems = [Problem(f"{images}/", "there is no volume in it.", "Put the images there.")]
            return cases, problems
    raise InputError(
        "no dataset was found: neither a list 'training' in dataset.json, nor the folders images/ and labels/, nor "
        "imagesTr/ and labelsTr/. Put the volumes into images/ and their annotations, named alike, into labels/."
    )


def _listed_cases(folder: Path, key: str, listed: Any) -> tuple[list[Case], list[Problem]]:
    cases: dict[str, Case] = {}
    problems = []
    for place, name, entry in _entries(key, listed):
        found = _listed_case(folder, name, entry)
        if isinstance(found, str):
            problems.append(Problem("dataset.json", f"'{place}' {found}"))
            continue
        if found.name in cases and found.images != cases[found.name].images:  # files of one name in two folders
            found = replace(found, name=os.path.relpath(found.images[0], folder))
        if found.name in cases:
            problems.append(Problem("dataset.json", f"'{place}' lists {found.name} again.", "List it once."))
        cases.setdefault(found.name, found)
    return list(cases.values()), problems


def _listed_case(folder: Path, name: str, entry: Any) -> Case | str:
    """One entry of the list, or what is wrong with it."""
    files = _files(entry)
    if files is None:
        form = '{"image": "images/s1.nii.gz", "label": "labels/s1.nii.gz"}'
        return f"should be of the form {form}, and is {entry!r}. Correct it."
    images, labels = files
    for path in (*images, labels):
        if path is not None and _leaves(folder, path):
            return (
                f"names {path}, which is outside the dataset's folder. Put the file into the folder, and name it by "
                "its path within."
            )
    paths = channel_files(folder / images[0]) if len(images) == 1 else tuple(folder / path for path in images)
    return Case(name or image_name(images), paths, folder / labels if labels else None)


def _entries(key: str, listed: Any) -> Iterator[tuple[str, str, Any]]:
    """(place in dataset.json, name or empty, entry) of Decathlon's list or of nnU-Net's dict."""
    if isinstance(listed, list):
        yield from ((f"{key}[{number}]", "", entry) for number, entry in enumerate(listed))
    elif isinstance(listed, dict):
        yield from ((f"{key}.{name}", name, entry) for name, entry in listed.items())
    else:
        raise InputError(f"expected a list of images and labels as '{key}'. Found: {type(listed).__name__}")


def _files(entry: Any) -> tuple[list[str], str | None] | None:
    """Image files and label file of one entry, None where it is of no known form."""
    if not isinstance(entry, dict):
        return None
    images = entry.get("image", entry.get("images"))
    images = [images] if isinstance(images, str) else images
    labels = entry.get("label")
    if not isinstance(images, list) or not images or not all(isinstance(path, str) and path for path in images):
        return None
    return (images, labels) if labels is None or isinstance(labels, str) else None


def _leaves(folder: Path, path: str) -> bool:
    """Whether a path, as written, leads out of the folder; links that the user made within it may."""
    root = os.path.normpath(folder.absolute())
    return not PurePath(os.path.normpath(folder.absolute() / path)).is_relative_to(root)


def _scheme(description: Mapping[str, Any]) -> LabelScheme | None:
    labels = description.get("labels")
    if labels is None:
        return None
    if not isinstance(labels, dict):
        raise InputError(f'expected labels such as {{"0": "background", "1": "tubule"}}. Found: {labels!r}')
    return LabelScheme.from_names(labels)


def _channel_names(description: Mapping[str, Any]) -> tuple[str, ...]:
    """nnU-Net calls them ``channel_names``, the Decathlon ``modality``: a list, or a dict from number to name."""
    names = description.get("channel_names") or description.get("modality") or []
    if isinstance(names, dict):
        try:
            names = [name for _, name in sorted((int(number), name) for number, name in names.items())]
        except (TypeError, ValueError):
            names = None
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list):
        raise InputError("expected the channels as {\"0\": \"MRI\"}. Correct 'channel_names' (or 'modality').")
    return tuple(str(name) for name in names)


def _spacing(description: Mapping[str, Any]) -> tuple[tuple[float, float, float] | None, str]:
    spacing = description.get("spacing")
    if spacing is None:
        return None, ""
    try:
        z, y, x = (float(spacing[axis]) for axis in AXES)
        unit, factor = read_unit(spacing.get("unit"))
    except (AttributeError, KeyError, TypeError, ValueError):
        z = y = x = factor = 0.0
        unit = ""
    if not all(0 < value < float("inf") for value in (z, y, x)):
        raise InputError(f'expected a spacing such as {{"z": 2, "y": 1, "x": 1, "unit": "µm"}}. Found: {spacing!r}')
    return (z * factor, y * factor, x * factor), unit
