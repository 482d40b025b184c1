"""`report`: what a model was trained on, how that went, and how it does on cases whose labels are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from keras_unet3d.annotation import Dataset, LabelScheme, Meaning, load_case, read_dataset
from keras_unet3d.annotation.examination import examine
from keras_unet3d.annotation.problems import raise_errors
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.models import DEFAULT_MODEL, load_model
from keras_unet3d.serving.description import read_description
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes.outputs import check_page

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from keras_unet3d.evaluation.page import Section
    from keras_unet3d.jobs.case_study import KnownCase
    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.metrics import ScoreTable


@dataclass(frozen=True, eq=False)
class Report:
    """What `report` leaves.

    Attributes:
        path: the page.
        model: the version that it is of.
        scores: of the cases, None without a dataset.
    """

    path: Path
    model: Path
    scores: ScoreTable | None


def report(
    model: PathLike = DEFAULT_MODEL,
    dataset: PathLike | Dataset | None = None,
    output: PathLike = "report.html",
    *,
    meaning: Meaning | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Write one HTML file that lets a person judge a model: it opens offline and reaches for nothing.

    With a dataset its cases are segmented, one at a time, and compared with their labels: scores, the worst cases
    first, slices, a 3D view, and what the model is unsure of.

    Args:
        model: a model's folder, with or without the version.
        dataset: a folder, or `dataset_from_pairs`; its labels may be dense or a few slices.
        output: the page.
        meaning: how to read unpainted voxels, where the files do not say.
        say: told what happens, a sentence each.

    Raises:
        InputError: if the model or the dataset cannot be read, or they do not fit each other.
        WorkError: if the page cannot be written.
    """
    from keras_unet3d.evaluation.model_page import model_page
    from keras_unet3d.evaluation.page import write_page

    check_page(output)  # not after all cases
    say = say or (lambda _: None)
    folder = version_folder(model)
    description = read_description(folder)
    sections: list[Section] = []
    scores = None
    if dataset is not None:
        files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
        sections, scores = _studied(folder, files, meaning, say)
    name = f"{folder.resolve().parent.name}, version {folder.resolve().name}"
    write_page(output, model_page(name, description, sections, scores))
    return Report(Path(output), folder, scores)


def _studied(
    model: Path, files: Dataset, meaning: Meaning | None, say: Callable[[str], None]
) -> tuple[list[Section], ScoreTable]:
    """Segment all cases, and say how well."""
    from keras_unet3d.jobs.case_study import CaseStudy, KnownCase

    scheme = read_description(model).scheme
    if files.scheme is None:
        files = replace(files, scheme=scheme)
    found = examine(files, meaning or Meaning(), keep=False, to_learn=False)
    raise_errors(found.problems)
    for problem in found.problems:  # warnings
        say(str(problem))
    theirs = found.scheme or scheme

    def load(number: int) -> KnownCase:
        case = files.cases[number]
        read = load_case(files, case, theirs, meaning)
        return KnownCase(case.name, read.image, _in_scheme(read.class_index, theirs, scheme, case.labels))

    loaded = load_model(model)
    with TemporaryDirectory(prefix="unet3d_") as folder:
        study = CaseStudy(loaded, Path(folder))
        for number, case in enumerate(files.cases):
            say(f"Segmenting {case.name}, {number + 1} of {len(files.cases)} …")
            for warning in study.add(load(number)):
                say(warning)
        say("Making pictures …")
        return study.sections(load), study.scores


def _in_scheme(
    class_index: NDArray[np.int16], theirs: LabelScheme, scheme: LabelScheme, labels: Path | None
) -> NDArray[np.int16]:
    """Class indices of a dataset's scheme in the model's."""
    try:
        return scheme.index_of(class_index, theirs)
    except InputError as error:
        raise InputError(f"{labels}: {error} Those are the classes of the model.") from error
