"""`experiment`: the paper's comparisons on a dataset: many trainings, each scored on what it did not learn from."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import product
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_unet3d.annotation import Dataset, LabelScheme, Meaning, load_cases, read_dataset
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.fit_run import fingerprint_of, say_what_is_kept
from keras_unet3d.jobs.trials import Trainings, Trial, gpus
from keras_unet3d.volumes import written_whole
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from keras_unet3d.evaluation.experiments import ExperimentScores, TrialScore
    from keras_unet3d.evaluation.protocols import Protocol
    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.volumes.box import Triple


MOST_ROWS = 5
"""More rows than these are counted, not named."""


@dataclass(frozen=True, eq=False)
class ExperimentPlan:
    """What `experiment` will do, before it does anything.

    Attributes:
        protocol: the experiment.
        trials: what each training learns from and is scored on, and its network.
        scheme: the classes.
        settings: of every training, as given; what is not set each decides from what it learns from.
        warnings: what looks wrong with the dataset, and classes that some training is not scored on.
    """

    protocol: Protocol
    trials: tuple[Trial, ...]
    scheme: LabelScheme
    settings: Settings
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as its row says, and what looks wrong with the dataset."""
        return (*dict.fromkeys(trial.part.note for trial in self.trials if trial.part.note), *self.warnings)


@dataclass(frozen=True, eq=False)
class Experiment:
    """What `experiment` leaves.

    Attributes:
        run: the folder, with one for each training, and ``experiment.json``, ``experiment.md`` and ``report.html``.
        scores: of all trainings.
    """

    run: Path
    scores: ExperimentScores


def plan_experiment(
    dataset: PathLike | Dataset,
    protocol: Protocol,
    settings: Settings | None = None,
    *,
    networks: Sequence[str] | None = None,
    folds: int | None = None,
    steps: Sequence[Triple] | None = None,
    meaning: Meaning | None = None,
) -> ExperimentPlan:
    """Read and check a dataset, and part its labels.

    Args:
        dataset: as for `experiment`.
        protocol: as for `experiment`.
        settings: as for `experiment`.
        networks: as for `experiment`.
        folds: as for `experiment`.
        steps: as for `experiment`.
        meaning: as for `experiment`.

    Raises:
        InputError: with all that is wrong with the dataset, a line each, or if it has too few slices or cases, or a
            training would not learn every class, or be scored on fewer than two.
    """
    from keras_unet3d.evaluation.protocols import FOLDS, NETWORKS, STEPS, parts_of
    from keras_unet3d.training.settings import Settings

    settings = settings or Settings()
    named = {network.name: network for network in NETWORKS}
    names = networks or (["3D with BN"] if protocol == "sparsity" else list(named))
    if settings.hold_out not in ("auto", "nothing"):
        raise InputError(f"Experiments hold nothing back of what they learn from. Received: {settings.hold_out!r}")
    if unknown := [name for name in names if name not in named]:
        raise InputError(f"Expected networks out of {', '.join(named)}. Received: {', '.join(unknown)}")
    read = load_cases(dataset if isinstance(dataset, Dataset) else read_dataset(dataset), meaning)
    parts = parts_of(protocol, read.cases, folds=FOLDS if folds is None else folds, steps=steps or STEPS)
    occurring = _classes_in(case.class_index for case in read)
    not_scored: dict[str, dict[str, None]] = {}
    for part in parts:
        unlearned, unscored = set(occurring), set(occurring)
        for case in read:
            if case.name in part.shares:
                learned, scored = part.shares[case.name].parted(case.class_index)
                unlearned -= _classes_in([learned])
                unscored -= _classes_in([scored])
        row = " ".join(filter(None, (part.alone, part.name)))
        if unlearned:
            raise InputError(
                f"{row}: nothing that is learned from has labels of {_names(read.scheme, unlearned)}. Annotate it in "
                "more slices or volumes, or learn from more of them: fewer --folds, other --slices."
            )
        if protocol == "sparsity" and len(occurring - unscored) < 2:
            raise InputError(
                f"{row}: nothing that is scored has labels of {_names(read.scheme, unscored)}, as some row learns from "
                "every slice through it. Take fewer, with --slices."
            )
        for number in unscored:
            not_scored.setdefault(_names(read.scheme, [number]), {})[part.alone or part.name] = None
    of_trial = settings.model_copy(update={"hold_out": "nothing"})
    trials = (Trial(part, named[name]) for part, name in product(parts, names))
    warnings = [*map(str, read.warnings), *(_not_scored(name, list(rows)) for name, rows in not_scored.items())]
    return ExperimentPlan(protocol, tuple(trials), read.scheme, of_trial, tuple(warnings))


def _classes_in(labels: Iterable[NDArray[np.int16]]) -> set[int]:
    return {int(value) for each in labels for value in np.unique(each)} - {UNLABELED}


def _not_scored(name: str, rows: Sequence[str]) -> str:
    some = ", ".join(rows) if len(rows) <= MOST_ROWS else f"{counted(len(rows), 'row')}, the first {rows[0]}"
    return f"Nothing that is scored has labels of {name} in {some}."


def _names(scheme: LabelScheme, numbers: Iterable[int]) -> str:
    return ", ".join(scheme.names[number] for number in sorted(numbers))


def experiment(  # noqa: PLR0913 - what an experiment is, and where it goes
    dataset: PathLike | Dataset,
    protocol: Protocol,
    settings: Settings | None = None,
    *,
    networks: Sequence[str] | None = None,
    folds: int | None = None,
    steps: Sequence[Triple] | None = None,
    meaning: Meaning | None = None,
    runs: PathLike = "runs",
    workers: int | None = None,
    listener: Listener | None = None,
) -> Experiment:
    """Repeat an experiment of Çiçek et al. 2016, section 4, on a dataset with annotated slices or dense labels.

    Nothing is held out of what is learned from, and the last weights are kept: no network is chosen by what it is
    scored on. The same call again continues an experiment that was killed; trainings that are done are not repeated.

    Args:
        dataset: a folder with ``dataset.json``, or with ``images/`` and ``labels/``; or `dataset_from_pairs`.
        protocol: ``"semi"``, ``"sparsity"`` or ``"full"``; see `keras_unet3d.evaluation.protocols.parts_of`.
        settings: of every training; minutes and steps are those of each.
        networks: names out of `keras_unet3d.evaluation.protocols.NETWORKS`; None are all, and that with batch
            normalisation for ``"sparsity"``, as in the paper.
        folds: of ``"semi"``; None are the paper's three.
        steps: of ``"sparsity"``: slices orthogonal to z, y and x; None are the paper's.
        meaning: how to read unpainted voxels, where the files do not say.
        runs: folder of training runs; TensorBoard reads it.
        workers: trainings at a time, each in a process of its own with its share of the processor; None is one for each
            GPU, in turn without.
        listener: told what happens; `planned` is told an `ExperimentPlan`.

    Raises:
        InputError: if the data or the settings are wrong, or the same is running already; nothing was started.
        WorkError: if a training fails; what was done is kept.
    """
    from keras_unet3d.evaluation.experiments import ExperimentScores
    from keras_unet3d.serving.description import package_version
    from keras_unet3d.training.listener import Quiet
    from keras_unet3d.training.runs import open_run

    listener = listener or Quiet()
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    plan = plan_experiment(files, protocol, settings, networks=networks, folds=folds, steps=steps, meaning=meaning)
    listener.planned(plan)
    parts = (f"{trial} {trial.part.shares}" for trial in plan.trials)
    fingerprint = fingerprint_of(files, plan.settings, meaning, *parts, package_version())
    run = open_run(Path(runs) / f"experiment_{protocol}", fingerprint)
    with run.alone():
        say_what_is_kept(run, listener)
        trainings = Trainings(files, meaning, plan.settings, run.folder)
        processes = min(workers or gpus() or 1, len(plan.trials))
        done: dict[str, TrialScore] = {}
        start, before = time.monotonic(), sum(map(trainings.has, plan.trials))
        for trial, record in trainings.do(plan.trials, processes, listener):
            score = done[str(trial)] = record.score(trial)
            ahead = len(plan.trials) - len(done)
            new = max(len(done) - before, processes)  # those that run beside the first end soon after it
            minutes = ceil((time.monotonic() - start) / 60 / new * ahead)
            left = f" About {counted(minutes, 'minute')} left." if ahead and len(done) > before else ""
            listener.say(
                f"{len(done)} of {len(plan.trials)} done: {trial}: mean IoU {score.mean_iou:.3f} after "
                f"{counted(score.steps, 'step')} in {score.minutes:.1f} minutes.{left}"
            )
        in_order = tuple(done[str(trial)] for trial in plan.trials)
        scores = ExperimentScores(protocol, plan.scheme, in_order, plan.notes)
        _write(trainings, plan, scores)
        run.finish()
    return Experiment(run.folder, scores)


def _write(trainings: Trainings, plan: ExperimentPlan, scores: ExperimentScores) -> None:
    from keras_unet3d.evaluation.experiment_page import Shown, experiment_page
    from keras_unet3d.evaluation.page import write_page

    found = {**scores.as_json(), "settings": plan.settings.model_dump(mode="json", exclude_none=True)}
    for name, text in (
        ("experiment.json", json.dumps(found, indent=2) + "\n"),
        ("experiment.md", scores.as_markdown()),
    ):
        with written_whole(trainings.folder / name) as file:
            file.write_text(text, encoding="utf-8")
    worst = min(zip(plan.trials, scores.trials, strict=True), key=lambda pair: pair[1].mean_iou)[0]
    shown = [
        Shown(trial.network.name, trainings.curves(trial), trainings.view(trial, plan.scheme))
        for trial in plan.trials
        if trial.part == worst.part
    ]
    row = " ".join(filter(None, (worst.part.alone, worst.part.name)))
    volumes = [case.name for case in trainings.files.cases]
    write_page(trainings.folder / "report.html", experiment_page(scores, row, shown, volumes, plan.settings.as_toml()))
