"""`evaluate`: scores of a label map; `evaluate_cases`: of many; `compare`: of two predictions of the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from keras_unet3d.annotation import UNLABELED, LabelScheme, Meaning, few_painted_slices
from keras_unet3d.annotation.case_facts import slices_beside_paint
from keras_unet3d.annotation.dataset_checks import renamed_segment
from keras_unet3d.annotation.matching import match_predictions
from keras_unet3d.annotation.open_meaning import open_meaning
from keras_unet3d.annotation.problems import Problem, raise_errors
from keras_unet3d.errors import InputError
from keras_unet3d.metrics import CaseScores, Overlap, PairedTable, Ruler, Scores, ScoreTable, Surfaces
from keras_unet3d.volumes import Segment, Volume, read_labels, stem_of, suffix_of
from keras_unet3d.volumes.formats import READABLE
from keras_unet3d.volumes.length import Length
from keras_unet3d.volumes.suffixes import within_zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    PathLike = str | Path
    Pair = tuple[str, Path, Path]

SPARSE = "The truth has unlabelled voxels: nobody knows where borders run in them, so that overlap alone is measured."


@dataclass(frozen=True)
class _Reading:
    """How label maps become class indices.

    Attributes:
        scheme: with what the meaning adds to it.
        meaning: of unpainted voxels of truths.
        several: whether there are several cases, so that messages name them.
        warn: told where the slices that are said to be annotated and the painted ones differ.
    """

    scheme: LabelScheme
    meaning: Meaning
    several: bool = False
    warn: Callable[[str], None] = lambda _: None

    def prediction(self, labels: Volume) -> NDArray[np.int16]:
        """Class indices of a dense label map."""
        return self._class_index(labels, Meaning(), "")

    def truth(self, case: str, labels: Volume) -> NDArray[np.int16]:
        """Class indices of labels, refused as in training where nobody can know what 0 means."""
        import numpy as np

        values = np.unique(labels.voxels).tolist()
        if self.meaning.leaves_zero_open(case, values, self.scheme.unlabeled):
            slices = few_painted_slices(labels.voxels != 0)
            if slices is not None:
                named = case if self.several else ""
                unlabeled = self.scheme.unlabeled
                problem = open_meaning(str(labels.source), slices, named, values=values, unlabeled=unlabeled)
                raise InputError(str(problem))
        index = self._class_index(labels, self.meaning, case)
        if (slices := self.meaning.slices_of(case)) is not None:
            for problem in slices_beside_paint(str(labels.source), labels.voxels != 0, slices):
                self.warn(str(problem))
        return index

    def _class_index(self, labels: Volume, meaning: Meaning, case: str) -> NDArray[np.int16]:
        self._check_names(labels)
        try:
            return meaning.class_index(labels.voxels, self.scheme, case)
        except InputError as error:
            raise InputError(f"{labels.source}: {error}") from error

    def _check_names(self, labels: Volume) -> None:
        """Classes are compared by their values: those that have names have the same ones in all files."""
        value_of = {name.lower(): value for value, name in zip(self.scheme.values, self.scheme.names, strict=True)}
        for value, segment in labels.segments.items():
            elsewhere = value_of.get(segment.name.lower(), value)
            if elsewhere != value and (labels.voxels == value).any():
                raise InputError(str(renamed_segment(str(labels.source), segment.name, value, elsewhere)))


def evaluate(
    prediction: PathLike,
    truth: PathLike,
    *,
    meaning: Meaning | None = None,
    scheme: LabelScheme | None = None,
    tolerance: float | str | None = None,
) -> Scores:
    """Score a label map against the truth, at labelled voxels only.

    Distances between borders are measured where the truth is dense, in the unit of the grid; see `SurfaceDistances`.
    Without a scheme, classes are the values that either of the two holds, named as the files name them.

    Args:
        prediction: a dense label map.
        truth: labels on the same grid, dense or sparse.
        meaning: how to read unpainted voxels of the truth, where neither its file nor the scheme says so.
        scheme: names the classes; that of a model is ``read_description(model).scheme``.
        tolerance: of the surface Dice: ``"2 mm"``, or a number in the unit of the grid; the longest edge of a voxel
            where it is left out.

    Returns:
        The measures of each class, and their means.

    Raises:
        InputError: if a file cannot be read, the two do not share a grid, no voxel of the truth is labelled, or only a
            few slices of it are painted and nothing says what 0 means in the others.
    """
    meaning, name = meaning or Meaning(), stem_of(Path(truth))
    meaning.check(scheme, [name])
    found, true = _read(Path(prediction), Path(truth))
    reading = _Reading(meaning.declared(scheme or _scheme([found, true], meaning.unlabeled)), meaning)
    return _scored(name, found, true, reading, _length(tolerance)).scores


def evaluate_cases(
    predictions: PathLike,
    truths: PathLike,
    *,
    meaning: Meaning | None = None,
    scheme: LabelScheme | None = None,
    tolerance: float | str | None = None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> ScoreTable:
    """Score the label maps of a folder against those of the same names in another, as `evaluate` does.

    Args:
        predictions: a folder of dense label maps; or a single one, which makes a table of one case.
        truths: a folder of labels, dense or sparse; or the truth of the single one.
        meaning: as for `evaluate`.
        scheme: as for `evaluate`.
        tolerance: as for `evaluate`; without it, the longest edge of a voxel of each case.
        warn: told what has no counterpart, and is not scored; and where annotated slices and painted ones differ.
        progress: told how many cases are done, of how many, and the name of the next.

    Raises:
        InputError: with all that is wrong, a line each: files that cannot be read or do not share a grid; truths
            without a label; names that match nowhere; cases that cannot be measured in one unit.
    """
    pairs, meaning = _pairs(Path(predictions), Path(truths), warn), meaning or Meaning()
    meaning.check(scheme, [name for name, *_ in pairs])
    table = _scored_pairs(pairs, meaning, scheme, tolerance, warn, progress)
    progress(len(pairs), len(pairs), "")
    return table


def compare(
    predictions: PathLike,
    others: PathLike,
    truths: PathLike,
    *,
    meaning: Meaning | None = None,
    scheme: LabelScheme | None = None,
    tolerance: float | str | None = None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> PairedTable:
    """Score two predictions of the same cases, and compare them case by case.

    Args:
        predictions: as for `evaluate_cases`.
        others: what to compare them with.
        truths: of both.
        meaning: as for `evaluate`.
        scheme: as for `evaluate`.
        tolerance: as for `evaluate_cases`.
        warn: as for `evaluate_cases`.
        progress: as for `evaluate_cases`, of the cases of both.

    Returns:
        With the scores of each of the two.

    Raises:
        InputError: as `evaluate_cases`.
    """
    both = [_pairs(Path(each), Path(truths), warn) for each in (predictions, others)]
    meaning = meaning or Meaning()
    meaning.check(scheme, sorted({name for pairs in both for name, *_ in pairs}))
    total, before = sum(map(len, both)), 0
    tables: list[ScoreTable] = []
    for pairs, told_once in zip(both, (warn, lambda _: None), strict=True):

        def told(done: int, _: int, name: str, before: int = before) -> None:
            progress(before + done, total, name)

        unit = tables[0].unit if tables else ""
        tables.append(_scored_pairs(pairs, meaning, scheme, tolerance, told_once, told, unit))
        before += len(pairs)
    progress(total, total, "")
    return PairedTable(*tables)


def holds_cases(path: PathLike) -> bool:
    """Whether a path is a folder of volumes, and not a volume: a folder of one DICOM series is one, and one of Zarr."""
    folder = Path(path)
    if within_zarr(folder):
        return False
    return folder.is_dir() and any(each.is_dir() or suffix_of(each) in READABLE for each in folder.iterdir())


def _scored_pairs(
    pairs: Sequence[Pair],
    meaning: Meaning,
    scheme: LabelScheme | None,
    tolerance: float | str | None,
    warn: Callable[[str], None],
    progress: Callable[[int, int, str], None],
    unit: str = "",
) -> ScoreTable:
    """Score all of them, in one unit: this one, or that of the first."""
    length = _length(tolerance)
    scheme = meaning.declared(scheme or _scheme_of_files(pairs, meaning.unlabeled))
    reading = _Reading(scheme, meaning, several=len(pairs) > 1, warn=warn)
    cases: list[CaseScores] = []
    problems = []
    for number, (name, prediction, truth) in enumerate(pairs):
        progress(number, len(pairs), name)
        try:
            case = _scored(name, *_read(prediction, truth), reading, length, unit)
        except InputError as error:
            problems.append(Problem.of(str(truth if str(error).startswith(f"{truth}: ") else prediction), error))
            continue
        ruler = case.scores.ruler
        unit = unit or (ruler.unit if ruler else "")
        if ruler and ruler.unit != unit:
            found = f"distances can be measured in {ruler.unit} only, those of cases before it in {unit}."
            problems.append(Problem(str(prediction), found, "Save all with their spacing and unit, or none."))
        cases.append(case)
    raise_errors(problems)
    return ScoreTable(cases, scheme)


def _read(prediction: Path, truth: Path) -> tuple[Volume, Volume]:
    """Both label maps, of one grid."""
    found, true = read_labels(prediction), read_labels(truth)
    if not found.grid.agrees(true.grid):
        raise InputError(
            f"{prediction}: {found.grid}; the truth {truth}: {true.grid}. Both must lie on the same grid: segment the "
            "image that was annotated."
        )
    return found, true


def _scored(
    name: str, found: Volume, true: Volume, reading: _Reading, tolerance: Length | None, unit: str = ""
) -> CaseScores:
    """Score a case; distances are in a unit that can be converted to."""
    true_index, found_index = reading.truth(name, true), reading.prediction(found)
    if (true_index == UNLABELED).all():
        raise InputError(
            f"{true.source}: no voxel is labelled, so that there is nothing to compare. Give labels, or leave it out."
        )
    ruler = partial(Ruler.of, [true.grid, found.grid], tolerance, unit)
    return scored(name, true_index, found_index, reading.scheme, ruler)


def scored(
    name: str, truth: NDArray[np.int16], found: NDArray[np.int16], scheme: LabelScheme, ruler: Callable[[], Ruler]
) -> CaseScores:
    """Score class indices of a case: overlap, and where the truth is dense the distances of borders.

    Args:
        name: of the case.
        truth: class indices ``(z, y, x)``, `UNLABELED` where there is no label.
        found: class indices of the same shape.
        scheme: of both.
        ruler: asked for where distances are measured.
    """
    overlap = Overlap.of(truth, found, scheme.classes)
    if overlap.voxels < truth.size:
        return CaseScores(name, overlap, Scores.of(overlap, scheme, not_measured=SPARSE))
    surfaces = Surfaces.of(truth, found, scheme.classes, ruler(), scheme.background)
    return CaseScores(name, overlap, Scores.of(overlap, scheme, surfaces))


def _pairs(predictions: Path, truths: Path, warn: Callable[[str], None]) -> list[Pair]:
    """Name, prediction and truth of each case."""
    if not holds_cases(predictions) and not holds_cases(truths):
        return [(stem_of(truths), predictions, truths)]
    for one, other in ((predictions, truths), (truths, predictions)):
        if not holds_cases(one):
            raise InputError(
                f"{one}: is no folder of label maps, and {other} is. Give two files, or two folders in which they have "
                "the same names."
            )
    pairs, problems = match_predictions(predictions, truths)
    raise_errors(problems)
    if not pairs:
        raise InputError(
            f"{predictions}: no file has the name of one in {truths}. Names count up to the suffix: "
            "'predictions/s1.nii.gz' belongs to 'truths/s1.seg.nrrd'."
        )
    for problem in problems:
        warn(str(problem))
    return pairs


def _scheme_of_files(pairs: Iterable[Pair], unlabeled: int | None) -> LabelScheme:
    """The classes of all cases: that one lacks a class is known from the others."""
    problems = []

    def volumes() -> Iterator[Volume]:
        for _, *paths in pairs:
            for path in paths:
                try:
                    yield read_labels(path)
                except InputError as error:
                    problems.append(Problem.of(str(path), error))

    scheme = _scheme(volumes(), unlabeled)
    raise_errors(problems)
    return scheme


def _scheme(volumes: Iterable[Volume], unlabeled: int | None) -> LabelScheme:
    """The classes that label maps hold, named as they name them."""
    import numpy as np

    values: set[int] = set()
    segments: dict[int, Segment] = {}
    for volume in volumes:
        values.update(np.unique(volume.voxels).tolist())
        segments.update(volume.segments)
    return LabelScheme.from_values(values, segments, unlabeled)


def _length(tolerance: float | str | None) -> Length | None:
    """What was given as a tolerance."""
    if tolerance is None:
        return None
    return Length.parse(tolerance) if isinstance(tolerance, str) else Length(tolerance)
