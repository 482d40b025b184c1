"""What is wrong with a dataset, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_unet3d.annotation import (
    Dataset,
    Meaning,
    Problem,
    TrainingSummary,
    check_dataset,
    load_cases,
    read_dataset,
    summarize,
)
from keras_unet3d.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class Check:
    """What is wrong with a dataset, and what it holds.

    Attributes:
        problems: errors first, then warnings.
        summary: what would be trained on; None where there are errors.
    """

    problems: tuple[Problem, ...]
    summary: TrainingSummary | None

    @property
    def errors(self) -> int:
        """How many problems stop a training."""
        return sum(problem.severity == "error" for problem in self.problems)


def check(dataset: str | Path | Dataset, meaning: Meaning | None = None) -> Check:
    """Find everything that is wrong with a dataset, and sum up what it holds.

    Args:
        dataset: a folder, or `keras_unet3d.annotation.dataset_from_pairs`.
        meaning: how to read unpainted voxels, where the files do not say.
    """
    try:
        read = load_cases(dataset if isinstance(dataset, Dataset) else read_dataset(dataset), meaning, in_parts=True)
    except InputError:
        return Check(tuple(check_dataset(dataset, meaning)), None)
    return Check(read.warnings, summarize(read))
