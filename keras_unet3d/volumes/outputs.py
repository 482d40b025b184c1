"""Where results go, and everything about it that can be known before the work starts."""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.formats import WRITABLE, format_to_read, format_to_write
from keras_unet3d.volumes.suffixes import image_name, split_dataset, suffix_of, within_zarr
from keras_unet3d.volumes.whole_file import check_parent


def output_for(image: Sequence[Path], folder: Path) -> Path:
    """Where in a folder the label map of an image goes: same name and format, where that holds labels, else .nii.gz.

    Args:
        image: its file, or the files of its channels; ``_0000`` and ``_c0`` are left out of the name.
        folder: of all label maps.
    """
    first = image[0]
    if first.is_dir() and not within_zarr(first):  # a DICOM series
        return folder / f"{first.resolve().name}.nii.gz"
    suffix = suffix_of(first)
    return folder / f"{image_name(image)}{suffix if suffix in WRITABLE else '.nii.gz'}"


def check_outputs(
    pairs: Sequence[tuple[Sequence[Path], Path]],
    others: Sequence[Path] = (),
    *,
    in_folder: bool = False,
    may_be_there: bool = False,
) -> None:
    """Make sure that images are there and can be read by their names, and that results can be written by theirs.

    Args:
        pairs: the files of each image, and where its label map goes.
        others: what else is written.
        in_folder: whether label maps go into a folder, which need not exist yet. Each pair is checked when its turn
            comes then, so that a wrong one stops no other; here, only that they are not in each other's way.
        may_be_there: whether label maps that are folders, and never replaced, may be there already.

    Raises:
        InputError: with all that is wrong, a line each; no output ever takes the place of an input.
    """
    problems: list[str] = []
    inputs = {_place(file) for image, _ in pairs for file in image}
    taken: dict[tuple[Path, str | None], str] = {}
    for image, _ in () if in_folder else pairs:
        problems += [problem for file in image if (problem := _unreadable(file))]
    outputs = [(output, ",".join(map(str, image)), in_folder) for image, output in pairs]
    for output, of_image, unchecked in [*outputs, *((other, "", False) for other in others)]:
        place = _place(output)
        if place in inputs:
            problems.append(f"{output}: is an input, which is never overwritten. Name another file.")
        elif place in taken:
            problems.append(f"{output}: would be written twice, for {taken[place]} and {of_image or 'another result'}.")
        taken[place] = of_image
        if unchecked or (may_be_there and within_zarr(output) and output.exists()):
            continue
        problems += [problem] if (problem := _unwritable(output)) else []
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))


def check_output_folder(folder: Path) -> None:
    """Make sure that results can be written into a folder, which need not exist yet; makes nothing.

    Raises:
        InputError: if they cannot.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"{folder}: cannot be a folder, {existing} is a file. Choose another one.")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{folder}: {existing} cannot be written to. Choose another folder.")


def check_page(path: str | os.PathLike[str]) -> None:
    """Make sure that a page can be written at `path`, and takes the place of nothing but a page.

    Raises:
        InputError: if it is not called ``….html``, or its folder is missing or cannot be written to.
    """
    if Path(path).suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"{path}: a page is called ….html, for browsers to know it. Name it so.")
    check_parent(path)


def _place(path: Path) -> tuple[Path, str | None]:
    file, dataset = split_dataset(path)
    return file.resolve(), dataset


def _unreadable(file: Path) -> str | None:
    path, _ = split_dataset(file)
    if not path.exists():
        return f"{file}: there is no such file."
    try:
        format_to_read(path)
    except InputError as error:
        return str(error)
    return None


def _unwritable(output: Path) -> str | None:
    file, _ = split_dataset(output)
    try:
        format_to_write(output)
        if within_zarr(file) and output.exists():
            return f"{output}: is there already, and a folder may hold more than labels. Remove it, or name another."
        if file.is_dir() and not within_zarr(file):
            return f"{output}: is a folder. Name a file in it, or another folder with --out-dir."
        check_parent(output if within_zarr(file) else file)
    except InputError as error:
        return str(error)
    return None
