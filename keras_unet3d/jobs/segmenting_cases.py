"""Many images, each a segmentation of its own: a bad one stops no other, and what is done is not done again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet3d.errors import InputError, UNet3DError
from keras_unet3d.inference.facts import digest
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.jobs.dask_workers import Dask, on_worker
from keras_unet3d.jobs.executors import Part
from keras_unet3d.jobs.models import DEFAULT_MODEL, Models, described_models, load_models
from keras_unet3d.jobs.replacing import check_replaced
from keras_unet3d.jobs.sameness import facts_of
from keras_unet3d.jobs.segmenting import Segmentation, segment
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes.outputs import check_outputs
from keras_unet3d.volumes.whole_file import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keras_unet3d.annotation import Meaning
    from keras_unet3d.serving.saved_model import LoadedModel

NOTES = ".segmented"
"""The hidden folder beside outputs that tells what each was made of."""


@dataclass(frozen=True)
class Case:
    """An image, and where its label map goes.

    Attributes:
        image: its file, or the files of its channels.
        output: the label map.
        keep: an annotation of the image; what it says stays as annotated.
        meaning: how to read unpainted voxels of `keep`.
    """

    image: tuple[Path, ...]
    output: Path
    keep: Path | None = None
    meaning: Meaning | None = None

    def __str__(self) -> str:
        return ",".join(map(str, self.image))


@dataclass(frozen=True)
class CaseResult:
    """What became of a case.

    Attributes:
        case: that it is of.
        error: why it was not segmented, a sentence; empty where it was.
        there: whether it had been segmented before, from the same image, with the same models and options.
        seconds: that it took.
        shares: the part of the volume that each class takes, by its name.
        warnings: what the user should know.
    """

    case: Case
    error: str = ""
    there: bool = False
    seconds: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def segment_cases(
    cases: Sequence[Case],
    *,
    model: Models = DEFAULT_MODEL,
    options: SegmentOptions | None = None,
    executor: Part | Dask | None = None,
    segment_one: Callable[[Case, Any], Segmentation] | None = None,
) -> Iterator[CaseResult]:
    """Segment many images, by one process or several; whoever calls again gets only what is missing done.

    Args:
        cases: of any formats; their outputs lie in folders that are there.
        model: as for `segment`.
        options: as for `segment`.
        executor: `Part`, every so many-th case, in this process; or `Dask`. None does all of them here.
        segment_one: does a case here, with the loaded models, where more is to be seen of it than `segment` shows.

    Yields:
        What became of each case of this executor, as it is done.

    Raises:
        InputError: if the models cannot be loaded.
    """
    options = options or SegmentOptions()
    models = list(model) if isinstance(model, list | tuple) else [model]
    models = [version_folder(each).resolve() if isinstance(each, str | Path) else each for each in models]
    executor = executor or Part()
    mine = [case for number, case in enumerate(cases) if executor.takes(number)]
    missing = []
    for case in mine:
        if _is_there(case, models, options):
            yield CaseResult(case, there=True)
            continue
        try:
            check_outputs([(case.image, case.output)])
            missing.append(case)
        except InputError as error:
            yield CaseResult(case, str(error))
    if isinstance(executor, Dask):
        executor.check_models(models)
        works = [_Work(case, tuple(models), options) for case in missing]
        for work, outcome in executor.each(_segment_on_worker, works):
            yield CaseResult(work.case, str(outcome)) if isinstance(outcome, UNet3DError) else outcome
    elif missing:
        loaded = load_models(models) if all(isinstance(each, str | Path) for each in models) else models
        for case in missing:
            try:
                result = _segmented(case, models, loaded, options, segment_one)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others may be better
                told = (str(error).strip() or "no message").splitlines()[0]
                result = CaseResult(case, f"{case}: {type(error).__name__}: {told}")
            yield result


def _is_there(case: Case, models: Models, options: SegmentOptions) -> bool:
    """Whether a case was segmented before, from the same image, with the same models and options."""
    if options.probabilities or options.uncertainty or options.report:  # which are files of their own
        return False
    try:
        return case.output.exists() and _note(case).read_text(encoding="utf-8") == _made_of(case, models, options)
    except (OSError, ValueError, InputError):
        return False


@dataclass(frozen=True)
class _Work:
    """A case, as a worker is told of it."""

    case: Case
    models: tuple[Path, ...]
    options: SegmentOptions


def _segment_on_worker(work: _Work) -> CaseResult:
    if _is_there(work.case, work.models, work.options):  # by a worker that was lost before it could say so
        return CaseResult(work.case, there=True)
    loaded = _loaded(work.models)
    return _segmented(work.case, list(work.models), loaded, on_worker(work.options))


_held: dict[tuple[Path, ...], list[LoadedModel]] = {}


def _loaded(models: tuple[Path, ...]) -> list[LoadedModel]:
    """The models of the last case, mostly."""
    if models not in _held:
        _held.clear()
        _held[models] = load_models(models)
    return _held[models]


def _segmented(
    case: Case,
    models: Models,
    loaded: Any,
    options: SegmentOptions,
    segment_one: Callable[[Case, Any], Segmentation] | None = None,
) -> CaseResult:
    start = time.monotonic()
    try:
        made_of = _made_of(case, models, options)
        check_replaced(case.output, described_models(models)[0][1].scheme)
        if segment_one is not None:
            result = segment_one(case, loaded)
        else:
            image = case.image if len(case.image) > 1 else case.image[0]
            result = segment(image, case.output, model=loaded, keep=case.keep, meaning=case.meaning, options=options)
        _note(case).parent.mkdir(exist_ok=True)
        with written_whole(_note(case)) as file:
            file.write_text(made_of, encoding="utf-8")
    except UNet3DError as error:
        told = "\n".join([str(error), *getattr(error, "__notes__", ())])
        return CaseResult(case, told, seconds=time.monotonic() - start)
    seconds = time.monotonic() - start
    return CaseResult(case, seconds=seconds, shares=result.shares, warnings=result.warnings)


def _note(case: Case) -> Path:
    return case.output.parent / NOTES / f"{case.output.name}.txt"


def _made_of(case: Case, models: Models, options: SegmentOptions) -> str:
    """All that decides a result, as one number."""
    facts = facts_of(case.image, described_models(models), options, case.keep, case.meaning) | {
        "processor": "any",
        "post-processing": str(options.post_processing),
    }
    return digest(facts)
