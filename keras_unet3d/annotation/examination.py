"""Reading a dataset and finding all that is wrong with it: the one opinion of ``fit`` and ``check``."""

import os
from dataclasses import dataclass, field

from keras_unet3d.annotation.case_facts import CaseFacts, look_at
from keras_unet3d.annotation.case_reading import CaseError, read_case
from keras_unet3d.annotation.dataset import Dataset
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
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.volume import Volume


@dataclass(eq=False)
class Examination:
    """Everything found in a dataset.

    Attributes:
        problems: what is wrong and what looks wrong.
        facts: of the cases that could be read, in order.
        volumes: image and labels of the same cases, empty unless they were to be kept.
        scheme: classes and their values, None where they could not be decided.
    """

    problems: list[Problem]
    facts: list[CaseFacts] = field(default_factory=list)
    volumes: list[tuple[Volume, Volume]] = field(default_factory=list)
    scheme: LabelScheme | None = None


def examine(dataset: Dataset, meaning: Meaning, *, keep: bool, to_learn: bool = True) -> Examination:
    """Read every case and find all that is wrong.

    Args:
        dataset: the files.
        meaning: what the user says about unpainted voxels.
        keep: whether the volumes stay in memory; without, one case is held at a time.
        to_learn: whether a network is to learn from it, which needs two classes.

    Raises:
        InputError: if `meaning` contradicts itself or the dataset, whatever the files hold.
    """
    meaning.check(dataset)
    found = Examination(list(dataset.problems))
    for case in dataset.cases:
        try:
            volumes = read_case(dataset, case)
            facts = look_at(dataset, case, volumes, meaning)
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
        problems = examine(files, meaning or Meaning(), keep=False).problems
    except InputError as error:
        return [Problem.of(place, error)]
    return sorted(problems, key=lambda problem: problem.severity != "error")
