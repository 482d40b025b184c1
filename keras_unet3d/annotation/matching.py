"""Images and labels in two folders, matched by name."""

import re
from collections import defaultdict
from pathlib import Path

from keras_unet3d.annotation.dataset import Case
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.volumes.formats import READABLE
from keras_unet3d.volumes.suffixes import split_channel, stem_of, suffix_of
from keras_unet3d.wording import counted, few

_VOXELS_OF_HEADERS = frozenset({".raw", ".zraw", ".gz", ".img"})  # beside .mhd and .nhdr


def match_folders(
    folder: Path, images: str, labels: str, file_ending: str | None = None
) -> tuple[list[Case], list[Problem]]:
    """Find the cases of two folders: ``images/s1.tif`` belongs to ``labels/s1.nii.gz``.

    An image can come in several files, one per channel: ``s1_0000.tif``, ``s1_0001.tif`` or ``s1_c0.tif``,
    ``s1_c1.tif``. Nothing is skipped in silence: what has no counterpart is a problem.

    Args:
        folder: where both lie.
        images: the name of the one with the images.
        labels: the name of the one with the labels.
        file_ending: the suffix that counts, as nnU-Net's ``dataset.json`` has it; None for every format.

    Returns:
        The cases by name, and what is wrong.
    """
    image_files, problems = _volumes_in(folder / images, images, file_ending)
    label_files, label_problems = _volumes_in(folder / labels, labels, file_ending)
    problems += label_problems
    labels_of: dict[str, Path] = {}
    for path in label_files:
        if stem_of(path) in labels_of:
            other = labels_of[stem_of(path)].name
            problems.append(Problem(f"{labels}/{path.name}", f"{other} has the same name.", "Keep one of the two."))
        labels_of.setdefault(stem_of(path), path)

    channels: dict[str, dict[int | None, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in image_files:
        stem = stem_of(path)
        # Any name that labels have is whole: s1_2024 may be a year.
        name, channel = (stem, None) if stem in labels_of else split_channel(stem)
        channels[name][channel].append(path)
    cases = []
    for name in sorted(channels):
        wrong = _wrong_channels(channels[name])
        if wrong:
            problems.append(Problem(f"{images}/{name}", wrong, "Keep one file for each channel, from _0000 on."))
            continue
        ordered = tuple(channels[name][channel][0] for channel in sorted(channels[name], key=lambda c: c or 0))
        cases.append(Case(name, ordered, labels_of.get(name)))
    for name in sorted(set(labels_of) - set(channels)):
        problems.append(
            Problem(
                f"{labels}/{labels_of[name].name}",
                f"there is no image for these labels: expected {images}/{name} with a volume's suffix.",
                "Add the image, or take the labels out of the folder.",
            )
        )
    return cases, problems


def match_predictions(predictions: Path, truths: Path) -> tuple[list[tuple[str, Path, Path]], list[Problem]]:
    """Find the label maps of two folders that belong together: ``predictions/s1.tif`` and ``truths/s1.nii.gz``.

    Args:
        predictions: a folder of label maps.
        truths: a folder of others.

    Returns:
        Name, prediction and truth of each case, by name; and what is wrong. Two files of one name are an error, what
        has no counterpart is a warning.
    """
    problems: list[Problem] = []
    by_name: list[dict[str, Path]] = []
    for folder in (predictions, truths):
        files, found = _volumes_in(folder, str(folder), None)
        problems += found
        named: dict[str, Path] = {}
        for path in files:
            other = named.setdefault(stem_of(path), path)
            if other != path:
                problems.append(Problem(str(path), f"{other.name} has the same name.", "Keep one of the two."))
        by_name.append(named)
    predicted, true = by_name
    for names, folder, missing in (
        (predicted.keys() - true.keys(), predictions, "truth"),
        (true.keys() - predicted.keys(), truths, "prediction"),
    ):
        if names:
            found_alone = f"{counted(len(names), 'volume')} without a {missing}, not scored: {few(sorted(names))}."
            problems.append(Problem(str(folder), found_alone, severity="warning"))
    return [(name, predicted[name], true[name]) for name in sorted(predicted.keys() & true.keys())], problems


def channel_files(path: Path) -> tuple[Path, ...]:
    """The files of an image that is listed as ``s1.nii.gz`` and lies there as ``s1_0000.nii.gz``, … (nnU-Net v1)."""
    if path.exists() or not path.parent.is_dir():
        return (path,)
    name = re.escape(path.name.removesuffix(suffix := path.name[len(stem_of(path)) :]))
    found = [
        other for other in path.parent.iterdir() if re.fullmatch(rf"{name}_\d{{4}}{re.escape(suffix)}", other.name)
    ]
    return tuple(sorted(found)) or (path,)


def _volumes_in(folder: Path, shown: str, file_ending: str | None) -> tuple[list[Path], list[Problem]]:
    """The volumes in a folder (files, and folders for DICOM series), and a word on what else lies there."""
    if not folder.is_dir():
        return [], [Problem(f"{shown}/", "there is no such folder.", "Put the volumes there.")]
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if file_ending:
        volumes = [path for path in files if path.name.endswith(file_ending)]
    else:
        volumes = [path for path in files if path.is_dir() or suffix_of(path) in READABLE]
    others = [path.name for path in files if path not in volumes and suffix_of(path) not in _VOXELS_OF_HEADERS]
    if not others:
        return volumes, []
    expected = f" (dataset.json expects {file_ending})" if file_ending else ""
    left_out = f"left out what is no volume by its suffix{expected}: {few(others)}."
    return volumes, [Problem(f"{shown}/", left_out, severity="warning")]


def _wrong_channels(files: dict[int | None, list[Path]]) -> str:
    """What is wrong with the files of one image, empty if nothing."""
    names = ", ".join(sorted(path.name for paths in files.values() for path in paths))
    if any(len(paths) > 1 for paths in files.values()) or (None in files and len(files) > 1):
        return f"several files could be the same image: {names}."
    numbers = sorted(channel for channel in files if channel is not None)
    if numbers and numbers != list(range(len(numbers))):
        return f"channels are missing, there are only {names}."
    return ""
