"""Annotated volumes, read and checked: what training works on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.case_reading import CaseError, read_case
from keras_unet3d.annotation.dataset import Case, Dataset
from keras_unet3d.annotation.examination import examine
from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.neighbourhoods import (
    LabelledParts,
    Neighbourhood,
    WholeImage,
    check_memory_of_parts,
    with_margins,
)
from keras_unet3d.annotation.problems import Problem, raise_errors
from keras_unet3d.annotation.slices import AnnotatedSlices, find_annotated_slices, restrict_background
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.intensity import volume_intensity
from keras_unet3d.volumes.part import part_of
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.volume import Volume


@dataclass(frozen=True, eq=False)
class AnnotatedCase:
    """An image and its labels on one grid.

    Attributes:
        name: what the case is called.
        image: float32 ``(z, y, x, channel)`` with its grid.
        class_index: int16 ``(z, y, x)``, `UNLABELED` where there is no label.
        within: of which image this is a labelled part, which is read when it is wanted; None for a whole image.
    """

    name: str
    image: Volume
    class_index: NDArray[np.int16]
    within: Neighbourhood | None = None

    @cached_property
    def annotated_slices(self) -> AnnotatedSlices:
        """The slices that hold the labels (`find_annotated_slices`); all of z where the labels are dense."""
        return find_annotated_slices(self.class_index != UNLABELED)

    @property
    def image_name(self) -> str:
        """What the image is called that this is, or is a part of."""
        return self.name if self.within is None else self.within.whole.name

    def intensity(self, spacing: Spacing | None = None) -> NDArray[np.float32]:
        """Offset and scale ``(channel, 2)`` of the raw image, the whole one where this is a part.

        Args:
            spacing: that the whole image is resampled to before; the case is so already.
        """
        return volume_intensity(self.image.voxels) if self.within is None else self.within.whole.intensity(spacing)

    def surrounded(self, margins: Sequence[int]) -> "AnnotatedCase":
        """The case with at least so many voxels (z, y, x) around its labels, where it is a part of an image."""
        if self.within is None:
            return self
        within = with_margins(self.within, margins)
        return self if within is self.within else _placed(self.name, within, self.class_index, self.within.box)


@dataclass(frozen=True, eq=False)
class AnnotatedDataset:
    """The cases of a dataset in memory; iterating gives the cases.

    Attributes:
        cases: in the order of the dataset.
        scheme: classes and their values.
        channel_names: a name per channel.
        name: what the dataset is called.
        warnings: what looks wrong and did not stop the reading.
    """

    cases: tuple[AnnotatedCase, ...]
    scheme: LabelScheme
    channel_names: tuple[str, ...]
    name: str = ""
    warnings: tuple[Problem, ...] = ()

    def __iter__(self) -> Iterator[AnnotatedCase]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)


def load_cases(
    dataset: Dataset, meaning: Meaning | None = None, *, to_learn: bool = True, in_parts: bool = False
) -> AnnotatedDataset:
    """Read all cases of a dataset, images as float32 and labels as class indices.

    Args:
        dataset: from `read_dataset` or `dataset_from_pairs`.
        meaning: how to read unpainted voxels, where the files do not say.
        to_learn: whether a network is to learn from them, which needs two classes.
        in_parts: whether the labelled parts of a large OME-Zarr become cases; else all of it is read.

    Raises:
        InputError: with all that is wrong, a line each.
    """
    meaning = meaning or Meaning()
    found = examine(dataset, meaning, keep=True, to_learn=to_learn, in_parts=in_parts)
    raise_errors(found.problems)
    scheme = found.scheme
    if scheme is None:
        raise RuntimeError("A dataset without errors has a label scheme.")
    cases: list[AnnotatedCase] = []
    while found.facts:
        facts, (image, labels) = found.facts.pop(0), found.volumes.pop(0)
        if isinstance(labels, LabelledParts):
            cases += _annotated_parts(facts.case, image, labels, scheme, meaning)
        else:
            cases.append(_annotated(facts.case, image, labels, scheme, meaning))
    names = _channel_names(dataset, cases)
    warnings = tuple(problem for problem in found.problems if problem.severity == "warning")
    return AnnotatedDataset(tuple(cases), scheme, names, dataset.name, warnings)


def load_case(dataset: Dataset, case: Case, scheme: LabelScheme, meaning: Meaning | None = None) -> AnnotatedCase:
    """Read one case of a dataset as `load_cases` does, which has found nothing wrong with it.

    Args:
        dataset: which it belongs to.
        case: its files.
        scheme: that `load_cases` has decided for the dataset.
        meaning: as it was there.

    Raises:
        InputError: if its files have changed since, and cannot be read.
    """
    try:
        image, labels = read_case(dataset, case)
    except CaseError as error:
        raise InputError(str(error)) from error
    return _annotated(case, image, labels, scheme, meaning or Meaning())


def unnamed_channels(count: int) -> tuple[str, ...]:
    """What channels are called that nobody named."""
    return tuple(f"channel {number}" for number in range(count))


def _annotated(case: Case, image: Volume, labels: Volume, scheme: LabelScheme, meaning: Meaning) -> AnnotatedCase:
    return AnnotatedCase(case.name, image, meaning.class_index(labels.voxels, scheme, case.name))


def _annotated_parts(
    case: Case, image: Volume, found: LabelledParts, scheme: LabelScheme, meaning: Meaning
) -> list[AnnotatedCase]:
    """A case for each labelled part."""
    whole, slices = WholeImage(case.name, image), meaning.slices_of(case.name)
    places = [Neighbourhood.around(whole, part.box) for part in found.parts]
    check_memory_of_parts(case.name, places)
    cases = []
    for part, within in zip(found.parts, places, strict=True):
        class_index = scheme.class_index(part.values)
        if slices is not None:
            class_index = restrict_background(class_index, scheme.values.index(0), slices.within(part.box))
        class_index[~part.own] = UNLABELED
        if (class_index != UNLABELED).any():
            name = case.name if len(found.parts) == 1 else f"{case.name} {part.box}"
            cases.append(_placed(name, within, class_index, part.box))
    return cases


def _placed(name: str, within: Neighbourhood, class_index: NDArray[np.int16], box: Box) -> AnnotatedCase:
    """The case of a neighbourhood.

    Args:
        name: of it.
        within: of it.
        class_index: of the labels, or more.
        box: where they lie in the image.
    """
    placed = np.full(within.box.shape, UNLABELED, np.int16)
    placed[box.shifted([-first for first in within.box.start]).slices] = class_index
    return AnnotatedCase(name, part_of(within.whole.volume, within.box), placed, within)


def _channel_names(dataset: Dataset, cases: list[AnnotatedCase]) -> tuple[str, ...]:
    """Those of the dataset, else those on which all image files agree, else numbers."""
    image = cases[0].image
    if dataset.channel_names:
        return dataset.channel_names
    if image.channels and all(case.image.channels == image.channels for case in cases):
        return image.channels
    return unnamed_channels(image.voxels.shape[3])
