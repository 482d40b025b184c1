"""Reading a dataset and finding all that is wrong with it: the one opinion of ``fit`` and ``check``."""

import os
from dataclasses import dataclass, field

from keras_unet3d.annotation.case_facts import CaseFacts, look_at, look_at_parts, parts_of
from keras_unet3d.annotation.case_reading import CaseError, open_large_case, read_case
from keras_unet3d.annotation.dataset import Case, Dataset
from keras_unet3d.annotation.dataset_checks import (
    check_channels,
    check_labels,
    check_learnable,
    check_meaning,
    check_spacing,
    decide_scheme,
)
from keras_unet3d.annotation.dataset_folder import read_dataset
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.neighbourhoods import LabelledParts
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.volume import Volume


@dataclass(eq=False)
class Examination:
    """Everything found in a dataset.

    Attributes:
        problems: what is wrong and what looks wrong.
        facts: of the cases that could be read, in order.
        volumes: image and labels of the same cases, empty unless they were to be kept; of large ones
            the labelled parts.
        scheme: classes and their values, None where they could not be decided.
    """

    problems: list[Problem]
    facts: list[CaseFacts] = field(default_factory=list)
    volumes: list[tuple[Volume, Volume | LabelledParts]] = field(default_factory=list)
    scheme: LabelScheme | None = None


def examine(
    dataset: Dataset, meaning: Meaning, *, keep: bool, to_learn: bool = True, in_parts: bool = False
) -> Examination:
    """Read every case and find all that is wrong.

    Args:
        dataset: the files.
        meaning: what the user says about unpainted voxels.
        keep: whether the volumes stay in memory; without, one case is held at a time.
        to_learn: whether a network is to learn from it, which needs two classes.
        in_parts: whether of large images the labelled parts alone are read.

    Raises:
        InputError: if `meaning` contradicts itself or the dataset, whatever the files hold.
    """
    meaning.check(dataset.scheme, [case.name for case in dataset.cases])
    found = Examination(list(dataset.problems))
    for case in dataset.cases:
        try:
            volumes, facts = _read(dataset, case, meaning, in_parts=in_parts)
        except CaseError as error:
            found.problems += error.problems
            continue
        found.facts.append(facts)
        found.problems += facts.warnings
        if keep:
            found.volumes.append(volumes)
    if not dataset.cases and not dataset.problems:
        found.problems.append(Problem(dataset.shown_folder, "there is no case in it.", "Add images with labels."))
    if found.facts:
        found.scheme, problems = decide_scheme(dataset, meaning, found.facts)
        found.problems += problems
        if found.scheme is not None:
            found.problems += check_labels(dataset, found.scheme, found.facts)
            if to_learn:
                found.problems += check_learnable(dataset, found.scheme, found.facts)
        for check in (check_meaning, check_channels, check_spacing):
            found.problems += check(dataset, found.facts)
    return found


def _read(
    dataset: Dataset, case: Case, meaning: Meaning, *, in_parts: bool
) -> tuple[tuple[Volume, Volume | LabelledParts], CaseFacts]:
    """A case, and what is to be known of it."""
    large = open_large_case(dataset, case) if in_parts else None
    parts = parts_of(dataset, case, large, meaning) if large else None
    if large is not None and parts is not None:
        return (large[0], parts), look_at_parts(dataset, case, large[0], parts, meaning)
    volumes = read_case(dataset, case)
    return volumes, look_at(dataset, case, volumes, meaning)


def check_dataset(dataset: str | os.PathLike[str] | Dataset, meaning: Meaning | None = None) -> list[Problem]:
    """Find all that is wrong with a dataset: what `load_cases` would refuse, and what it would warn of.

    It reads as `load_cases` does, one case at a time, so the two cannot disagree.

    Args:
        dataset: its folder, or a dataset that is known already.
        meaning: as for `load_cases`.

    Returns:
        Errors first, then warnings; empty for a dataset to train on without a second thought.
    """
    place = dataset.shown_folder if isinstance(dataset, Dataset) else os.fspath(dataset)
    try:
        files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
        problems = examine(files, meaning or Meaning(), keep=False, in_parts=True).problems
    except InputError as error:
        return [Problem.of(place, error)]
    return sorted(problems, key=lambda problem: problem.severity != "error")
