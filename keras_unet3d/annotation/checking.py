"""``unet3d check``: everything wrong with a dataset, at once."""

import os

from keras_unet3d.annotation.dataset import Dataset
from keras_unet3d.annotation.dataset_folder import read_dataset
from keras_unet3d.annotation.examination import examine
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError


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
