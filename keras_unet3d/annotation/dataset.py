"""Datasets: which image belongs to which labels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.suffixes import image_name

Source = str | os.PathLike[str]


@dataclass(frozen=True)
class Case:
    """One annotated volume, as files.

    Attributes:
        name: what it is called in messages and in ``--annotated-slices 'NAME:z=12'``.
        images: its image: one file, or one per channel.
        labels: its annotation; None where it is missing, which is an error once the case is read.
    """

    name: str
    images: tuple[Path, ...]
    labels: Path | None


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset before any volume is read.

    Attributes:
        cases: the annotated volumes.
        scheme: classes and their values; None where nobody named them, so that the values that occur decide.
        channel_names: a name per channel, empty where the dataset has none.
        spacing: distance between voxels along z, y, x for files that carry none, or None.
        spacing_unit: the unit of `spacing`, empty where it is not said.
        name: what the dataset is called.
        folder: where it lies; None for pairs of files.
        problems: what is wrong with its list of files.
    """

    cases: tuple[Case, ...]
    scheme: LabelScheme | None = None
    channel_names: tuple[str, ...] = ()
    spacing: tuple[float, float, float] | None = None
    spacing_unit: str = ""
    name: str = ""
    folder: Path | None = None
    problems: tuple[Problem, ...] = ()

    def shown(self, path: Path) -> str:
        """A file's name for messages: within the folder where it lies there."""
        if self.folder is not None and path.is_relative_to(self.folder):
            return str(path.relative_to(self.folder))
        return str(path)

    def shown_labels(self, case: Case) -> str:
        """The name of a case's label file for messages."""
        return self.shown(case.labels) if case.labels else case.name

    @property
    def shown_folder(self) -> str:
        """What to blame in messages for what is wrong with the dataset as a whole."""
        return str(self.folder) if self.folder else "the annotations"


def dataset_from_pairs(images: Sequence[Source | Sequence[Source]], annotations: Sequence[Source]) -> Dataset:
    """A dataset of image files and the annotation of each, in the same order.

    Args:
        images: a file per case, or the files of its channels.
        annotations: a label file per case.

    Raises:
        InputError: if there are not as many of one as of the other, or none.
    """
    if not images or len(images) != len(annotations):
        raise InputError(
            f"Expected an annotation for each image, in the same order. Received: {len(images)} images, "
            f"{len(annotations)} annotations"
        )
    files = [tuple(Path(one) for one in ([item] if isinstance(item, str | os.PathLike) else item)) for item in images]
    stems = [image_name(paths) for paths in files]
    names = [stem if stems.count(stem) == 1 else str(paths[0]) for stem, paths in zip(stems, files, strict=True)]
    cases = (Case(*parts) for parts in zip(names, files, map(Path, annotations), strict=True))
    return Dataset(tuple(cases), name=names[0] if len(names) == 1 else "")
