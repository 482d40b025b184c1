"""`cross_validate`: a training for each fold of the cases, scored on those that it left out; together one model."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from keras_unet3d.annotation import Dataset, LabelScheme, Meaning, case_folds, load_case, read_dataset
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.exporting import check_destination
from keras_unet3d.jobs.fit_plan import FitPlan, plan_fit
from keras_unet3d.jobs.fit_run import fingerprint_of, opened_run
from keras_unet3d.jobs.fitting import preparation_of, train
from keras_unet3d.jobs.scoring import score_network
from keras_unet3d.jobs.trained_model import describe, export_trained, facts_of_data, name_trained
from keras_unet3d.metrics import CaseScores, Overlap, Scores, ScoreTable
from keras_unet3d.volumes import written_whole
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.trainer import Circumstances

EXPORT_SECONDS, EXPORT_SHARE = 20.0, 0.1
"""What is kept back of the minutes for exporting each network, at most this share of them for all."""
TRAINING_SHARE = 0.9
"""Of a fold's share of the minutes, the same for all, as they are compared; in what is left its cases are scored."""
MOST_NAMES = 10
"""More cases than these are counted, not named."""
_FOLD_FILE, _MODEL_FILE = "fold.json", "model.keras"


@dataclass(frozen=True, eq=False)
class CrossValidationPlan:
    """What `cross_validate` will do, before it does anything.

    Attributes:
        fit: the plan of each of its trainings; what is decided from the data is decided from all cases, as networks
            whose probabilities are averaged have to be alike.
        left_out: the names of the cases that each fold leaves out.
        minutes: for everything, or None where steps are given.
    """

    fit: FitPlan
    left_out: tuple[tuple[str, ...], ...]
    minutes: float | None

    @property
    def settings(self) -> Settings:
        """Resolved, with the minutes of the whole: the same call again decides nothing else."""
        return self.fit.settings.model_copy(update={"minutes": self.minutes})


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What `cross_validate` leaves.

    Attributes:
        model: the exported version, ``models/<name>/<n>``: the mean of all networks.
        run: the folder, with one for each fold, and with the scores as ``cross_validation.json`` and ``.csv``.
        scores: of each case, by the network that did not learn from it.
        steps: that were trained, in all folds.
        minutes: that training and scoring took.
        report: a page about all of it, in the run's folder; None where it could not be written.
    """

    model: Path
    run: Path
    scores: ScoreTable
    steps: int
    minutes: float
    report: Path | None = None


class _FoldRecord(BaseModel):
    """A fold that is done.

    Attributes:
        steps: that were trained.
        seconds: that training and scoring took.
        seconds_scoring: of those, the ones of scoring.
        overlaps: the confusion matrix of each case that was left out.
    """

    steps: int
    seconds: float
    seconds_scoring: float
    overlaps: dict[str, list[list[int]]]


def plan_cross_validation(
    dataset: PathLike | Dataset,
    settings: Settings | None = None,
    *,
    folds: int = 5,
    meaning: Meaning | None = None,
) -> CrossValidationPlan:
    """Read and check a dataset, decide what is not set, and deal its cases into folds.

    Args:
        dataset: as for `cross_validate`.
        settings: as for `cross_validate`.
        folds: as for `cross_validate`.
        meaning: as for `cross_validate`.

    Raises:
        InputError: with all that is wrong with the dataset, a line each, or if it has too few cases or a class too few.
    """
    from keras_unet3d.training.settings import Settings

    settings = settings or Settings()
    if settings.hold_out in ("cases", "slices"):
        raise InputError(
            f"hold_out = {settings.hold_out!r} and folds exclude each other: each fold leaves out cases by itself, and "
            "keeps the last weights of its training. Leave hold_out out."
        )
    if folds < 2:
        raise InputError(f"Expected 2 folds or more. Received: {folds}")
    of_fold = {"hold_out": "nothing", "minutes": settings.minutes and _minutes(settings.minutes, folds)}
    plan = plan_fit(dataset, settings.model_copy(update=of_fold), meaning=meaning, in_parts=False)
    classes = {row.name: [name for name, voxels in row.voxels.items() if voxels] for row in plan.summary.rows}
    return CrossValidationPlan(plan, tuple(case_folds(classes, folds, settings.seed)), settings.minutes)


def cross_validate(
    dataset: PathLike | Dataset,
    settings: Settings | None = None,
    *,
    folds: int = 5,
    meaning: Meaning | None = None,
    name: str = "unet3d",
    models: PathLike = "models",
    runs: PathLike = "runs",
    listener: Listener | None = None,
) -> CrossValidation:
    """Train a network for each fold of the cases, score it on those it left out, and export the mean of all networks.

    Each labelled case is left out of one fold. That fold's network never sees it, and is not chosen by it either:
    nothing else is held out, and the last weights are kept. The case is segmented as `segment` does, in float32, and
    scored at its labelled voxels. So the scores are those of single networks; their mean, which is exported, cannot be
    scored on these cases, as each was learned from by all networks but one.

    The same call again continues a cross-validation that was killed; folds that are done are not repeated.

    Args:
        dataset: a folder with ``dataset.json``, or with ``images/`` and ``labels/``; or `dataset_from_pairs`.
        settings: what is set; the rest is decided from the data. The minutes are those of everything, shared equally
            by the folds; the steps those of each fold. Fold n takes the seed + n − 1.
        folds: how many.
        meaning: how to read unpainted voxels, where the files do not say.
        name: of the model.
        models: folder that the model is exported into.
        runs: folder of training runs; TensorBoard reads it.
        listener: told what happens; `planned` is told a `CrossValidationPlan`.

    Raises:
        InputError: if the data or the settings are wrong, the same is running already, or several workers run it;
            nothing was started.
        WorkError: if training fails; what was done is kept.
    """
    from keras_unet3d.jobs.fit_report import write_folds_report
    from keras_unet3d.serving.description import package_version
    from keras_unet3d.training.crew import count_devices, gather_crew
    from keras_unet3d.training.listener import Quiet
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.training.trainer import Circumstances

    start = time.monotonic()
    listener = listener or Quiet()
    settings = settings or Settings()
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    check_destination(Path(models) / name)  # not after hours of training
    plan = plan_cross_validation(files, settings, folds=folds, meaning=meaning)
    if count_devices("one") > 1:
        raise InputError("Folds are trained by one worker: unset TF_CONFIG, and start it without srun.")
    crew = gather_crew(plan.fit.settings.devices, listener.say)

    fingerprint = fingerprint_of(files, settings, meaning, f"{folds} folds", package_version())
    with opened_run(plan.fit, settings, fingerprint, Path(runs) / name, crew, listener) as (decided, run):
        plan = replace(plan, fit=decided)
        listener.planned(plan)
        if settings.start is not None:
            listener.say(f"If {settings.start} has learned from some of these cases, their scores are too good.")
        circumstances = Circumstances(run.folder, listener, start, crew)
        work = _CrossValidation(plan, files, meaning, circumstances)
        records = work.records()
        scores = _table(records, plan.fit.dataset.scheme)
        _write(run.folder, scores)
        model = work.export(records, scores, Path(models) / name)
        name_trained(model, listener)
        run.finish()
        page = write_folds_report(run.folder, model, scores, listener)
    seconds = sum(record.seconds for record in records)
    return CrossValidation(model, run.folder, scores, sum(record.steps for record in records), seconds / 60, page)


class _CrossValidation:
    """The part of `cross_validate` that has a folder to continue in."""

    def __init__(
        self, plan: CrossValidationPlan, files: Dataset, meaning: Meaning | None, circumstances: Circumstances
    ) -> None:
        from keras_unet3d.training.held_out import part

        self._plan, self._files, self._meaning, self._circumstances = plan, files, meaning, circumstances
        preparation = preparation_of(plan.fit, circumstances.listener)
        self._volumes = part(plan.fit.dataset.cases, "nothing", preparation).training

    def records(self) -> list[_FoldRecord]:
        """Do every fold that is not done yet."""
        folds, circumstances = len(self._plan.left_out), self._circumstances
        records: list[_FoldRecord] = []
        for number in range(1, folds + 1):
            done = self._folder(number) / _FOLD_FILE
            if done.exists():
                records.append(_FoldRecord.model_validate_json(done.read_text(encoding="utf-8")))
                circumstances.listener.say(f"Fold {number} of {folds} is done already.")
                continue
            try:
                records.append(self._fold(number, circumstances))
            except KeyboardInterrupt as error:
                error.add_note(f"Fold {number} of {folds} is unfinished. The same command continues there.")
                raise
            circumstances = replace(circumstances, start=time.monotonic())  # reading counts for one fold only
        return records

    def export(self, records: Sequence[_FoldRecord], scores: ScoreTable, folder: Path) -> Path:
        """Export the networks of all folds as one model."""
        from keras.models import load_model

        from keras_unet3d.training.curves import read_curves

        plan = self._plan.fit
        report = {
            "cases": len(plan.dataset),
            "labelled_voxels": plan.summary.voxels,
            "steps": sum(record.steps for record in records),
            "minutes": round(sum(record.seconds for record in records) / 60, 2),
            "held_out": f"{len(records)} folds; each network was scored on the cases that it did not learn from, the "
            "mean of all networks on none.",
            "validation": scores.pooled.as_json(),
            "cross_validation": scores.spread_as_json(),
            "learned_from": [volume.name for volume in self._volumes],
            "curves_of_folds": [read_curves(self._folder(number)).thinned().as_json() for number in _numbers(records)],
            **facts_of_data(plan),
        }
        self._circumstances.listener.say(f"Exporting the mean of {len(records)} networks, and trying it …")
        networks = [load_model(self._folder(number) / _MODEL_FILE, compile=False) for number in _numbers(records)]
        return export_trained(networks, plan, report, self._volumes, folder)

    def _fold(self, number: int, circumstances: Circumstances) -> _FoldRecord:
        """Train on what a fold does not leave out, and score it on what it does."""
        folder, left_out, listener = self._folder(number), self._plan.left_out[number - 1], circumstances.listener
        listener.say(f"Fold {number} of {len(self._plan.left_out)} leaves out {_some(left_out)}.")
        folder.mkdir(exist_ok=True)
        volumes = [volume for volume in self._volumes if volume.name not in left_out]
        settings = self._plan.fit.settings
        plan = replace(self._plan.fit, settings=settings.model_copy(update={"seed": settings.seed + number - 1}))
        plan.settings.write(folder / "settings.toml")
        trained = train(plan, volumes, (), replace(circumstances, folder=folder))
        if trained.early:
            raise KeyboardInterrupt

        start = time.monotonic()
        with written_whole(folder / _MODEL_FILE) as file:
            trained.model.save(file)
        overlaps = self._scored(trained.model, number)
        seconds_scoring = time.monotonic() - start
        record = _FoldRecord(
            steps=trained.state.step,
            seconds=trained.state.seconds + seconds_scoring,
            seconds_scoring=seconds_scoring,
            overlaps={name: overlap.matrix.tolist() for name, overlap in overlaps.items()},
        )
        with written_whole(folder / _FOLD_FILE) as file:
            file.write_text(record.model_dump_json(), encoding="utf-8")
        table = _table([record], plan.dataset.scheme)
        listener.say(
            f"Fold {number} of {len(self._plan.left_out)}: Dice {table.mean_dice.mean:.3f} on what it left out."
        )
        return record

    def _scored(self, network: Any, number: int) -> dict[str, Overlap]:
        scheme, left_out = self._plan.fit.dataset.scheme, self._plan.left_out[number - 1]
        self._circumstances.listener.say(f"Segmenting {counted(len(left_out), 'case')}, and scoring …")
        cases = (  # read again: images in memory are normalised
            load_case(self._files, case, scheme, self._meaning) for case in self._files.cases if case.name in left_out
        )
        return score_network(network, describe(self._plan.fit, {}), self._folder(number), cases)

    def _folder(self, number: int) -> Path:
        return self._circumstances.folder / f"fold_{number}"


def _minutes(total: float, folds: int) -> float:
    """What each fold has for its training: an equal share of what exports and scoring leave."""
    export = min(EXPORT_SECONDS * folds / 60, EXPORT_SHARE * total)
    return TRAINING_SHARE * (total - export) / folds


def _table(records: Sequence[_FoldRecord], scheme: LabelScheme) -> ScoreTable:
    overlaps = [
        (name, number, Overlap(np.asarray(matrix, np.int64)))
        for number, record in zip(_numbers(records), records, strict=True)
        for name, matrix in record.overlaps.items()
    ]
    cases = (CaseScores(name, overlap, Scores.of(overlap, scheme), number) for name, number, overlap in overlaps)
    return ScoreTable(cases, scheme)


def _write(folder: Path, scores: ScoreTable) -> None:
    for name, text in (
        ("cross_validation.json", json.dumps(scores.as_json(), indent=2) + "\n"),
        ("cross_validation.csv", scores.as_csv()),
    ):
        with written_whole(folder / name) as file:
            file.write_text(text, encoding="utf-8")


def _numbers(records: Sequence[_FoldRecord]) -> range:
    return range(1, len(records) + 1)


def _some(names: Sequence[str]) -> str:
    count = counted(len(names), "case")
    return f"{count}: {', '.join(names)}" if len(names) <= MOST_NAMES else count
