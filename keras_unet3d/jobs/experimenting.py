"""`experiment`: the paper's comparisons on a dataset: many trainings, each scored on what it did not learn from."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from keras_unet3d.annotation import Dataset, LabelScheme, Meaning, load_case, load_cases, read_dataset
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.fit_plan import plan_for
from keras_unet3d.jobs.fit_run import fingerprint_of
from keras_unet3d.jobs.fitting import preparation_of, train
from keras_unet3d.jobs.scoring import score_network
from keras_unet3d.jobs.trained_model import describe
from keras_unet3d.metrics import Overlap
from keras_unet3d.quiet import quiet_tensorflow, tensorflow_is_quiet
from keras_unet3d.volumes import written_whole
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keras_unet3d.evaluation.experiments import ExperimentScores, TrialScore
    from keras_unet3d.evaluation.protocols import Network, Part, Protocol
    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.settings import Settings
    from keras_unet3d.volumes.box import Triple

_RECORD_FILE = "trial.json"


@dataclass(frozen=True, eq=False)
class ExperimentPlan:
    """What `experiment` will do, before it does anything.

    Attributes:
        protocol: the experiment.
        trials: what each training learns from and is scored on, and its network.
        scheme: the classes.
        settings: of every training, as given; what is not set each decides from what it learns from.
    """

    protocol: Protocol
    trials: tuple[Trial, ...]
    scheme: LabelScheme
    settings: Settings


@dataclass(frozen=True)
class Trial:
    """One training of an experiment.

    Attributes:
        part: what is learned and scored.
        network: that learns it.
    """

    part: Part
    network: Network

    def __str__(self) -> str:
        return f"{self.network.name}, {self.part.name}"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return "".join(each if each.isalnum() else "_" for each in str(self))


@dataclass(frozen=True, eq=False)
class Experiment:
    """What `experiment` leaves.

    Attributes:
        run: the folder, with one for each training, and ``experiment.json``, ``experiment.md`` and ``report.html``.
        scores: of all trainings.
    """

    run: Path
    scores: ExperimentScores


class _TrialRecord(BaseModel):
    """A training that is done.

    Attributes:
        steps: that were trained.
        minutes: that they took.
        labelled: share of all voxels that was learned from.
        overlaps: the confusion matrix of each case that was scored.
    """

    steps: int
    minutes: float
    labelled: float
    overlaps: dict[str, list[list[int]]]

    def score(self, trial: Trial) -> TrialScore:
        from keras_unet3d.evaluation.experiments import TrialScore

        overlaps = {name: Overlap(np.asarray(matrix, np.int64)) for name, matrix in self.overlaps.items()}
        return TrialScore(trial.part.name, trial.network.name, overlaps, self.labelled, self.steps, self.minutes)


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
            training would learn only one class.
    """
    from keras_unet3d.evaluation.protocols import FOLDS, NETWORKS, STEPS, parts_of
    from keras_unet3d.training.settings import Settings

    settings = settings or Settings()
    named = {network.name: network for network in NETWORKS}
    names = networks or (["3D with BN"] if protocol == "sparsity" else list(named))
    if unknown := [name for name in names if name not in named]:
        raise InputError(f"Expected networks out of {', '.join(named)}. Received: {', '.join(unknown)}")
    read = load_cases(dataset if isinstance(dataset, Dataset) else read_dataset(dataset), meaning)
    parts = parts_of(protocol, read.cases, folds=folds or FOLDS, steps=steps or STEPS)
    for part in parts:
        learned = [part.shares[case.name].parted(case.class_index)[0] for case in read]
        known = {int(value) for labels in learned for value in np.unique(labels)} - {UNLABELED}
        if missing := [name for number, name in enumerate(read.scheme.names) if number not in known]:
            raise InputError(
                f"{part.name}: nothing that is learned from has labels of {', '.join(missing)}. Annotate more slices, "
                "or take fewer folds."
            )
    of_trial = settings.model_copy(update={"hold_out": "nothing"})
    trials = (Trial(part, named[name]) for part, name in product(parts, names))
    return ExperimentPlan(protocol, tuple(trials), read.scheme, of_trial)


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
    from keras_unet3d.training.listener import Quiet
    from keras_unet3d.training.runs import open_run

    listener = listener or Quiet()
    files = dataset if isinstance(dataset, Dataset) else read_dataset(dataset)
    plan = plan_experiment(files, protocol, settings, networks=networks, folds=folds, steps=steps, meaning=meaning)
    listener.planned(plan)
    parts = (f"{trial} {trial.part.shares}" for trial in plan.trials)
    fingerprint = fingerprint_of(files, plan.settings, meaning, *parts)
    run = open_run(Path(runs) / f"experiment_{protocol}", fingerprint)
    with run.alone():
        work = _Work(files, meaning, plan.settings, run.folder)
        processes = min(workers or _gpus(), len(plan.trials))
        done: list[TrialScore] = []
        start, before = time.monotonic(), sum(map(work.has, plan.trials))
        records = work.in_turn(plan.trials, listener) if processes < 2 else work.at_once(plan.trials, processes)
        for trial, record in records:
            done.append(record.score(trial))
            ahead = len(plan.trials) - len(done)
            new = max(len(done) - before, processes, 1)  # those that run beside the first end soon after it
            minutes = (time.monotonic() - start) / 60 / new * ahead
            left = f" About {counted(ceil(minutes), 'minute')} left." if ahead and len(done) > before else ""
            listener.say(
                f"{len(done)} of {len(plan.trials)} done: {trial}: mean IoU {done[-1].together.mean_iou:.3f} after "
                f"{counted(record.steps, 'step')} in {record.minutes:.1f} minutes.{left}"
            )
        order = {(trial.part.name, trial.network.name): number for number, trial in enumerate(plan.trials)}
        scores = ExperimentScores(
            protocol, plan.scheme, tuple(sorted(done, key=lambda score: order[score.part, score.network]))
        )
        _write(run.folder, scores, plan.settings)
        run.finish()
    return Experiment(run.folder, scores)


@dataclass(frozen=True, eq=False)
class _Work:
    """What trainings need, whichever process does them.

    Attributes:
        files: of the cases.
        meaning: of their labels.
        settings: as given.
        folder: of the experiment.
    """

    files: Dataset
    meaning: Meaning | None
    settings: Settings
    folder: Path

    def in_turn(self, trials: Sequence[Trial], listener: Listener) -> Iterator[tuple[Trial, _TrialRecord]]:
        """One after the other, in this process."""
        for trial in trials:
            yield trial, self.record(trial, listener)

    def at_once(self, trials: Sequence[Trial], processes: int) -> Iterator[tuple[Trial, _TrialRecord]]:
        """So many at a time, each in a process that sees one GPU or computes with some threads; as they end."""
        context = get_context("spawn")  # TensorFlow does not survive a fork
        devices = context.Queue()
        for device in _devices(processes):
            devices.put(device)
        threads = max((os.cpu_count() or 1) // processes, 1)
        share = (devices, threads, tensorflow_is_quiet())
        with ProcessPoolExecutor(processes, context, _take_share, share) as pool:
            try:
                waiting = {pool.submit(self.record, trial): trial for trial in trials}
                for future in as_completed(waiting):
                    yield waiting[future], future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def has(self, trial: Trial) -> bool:
        """Whether a training is done."""
        return (self.folder / trial.folder / _RECORD_FILE).exists()

    def record(self, trial: Trial, listener: Listener | None = None) -> _TrialRecord:
        """Train and score, unless that is done."""
        from keras_unet3d.training.listener import Quiet

        done = self.folder / trial.folder / _RECORD_FILE
        if not self.has(trial):
            record = self._trained(trial, done.parent, listener or Quiet())
            with written_whole(done) as file:
                file.write_text(record.model_dump_json(), encoding="utf-8")
        return _TrialRecord.model_validate_json(done.read_text(encoding="utf-8"))

    def _trained(self, trial: Trial, folder: Path, listener: Listener) -> _TrialRecord:
        from keras_unet3d.training.crew import gather_crew
        from keras_unet3d.training.held_out import part
        from keras_unet3d.training.settings import read_settings
        from keras_unet3d.training.trainer import Circumstances

        start = time.monotonic()
        folder.mkdir(exist_ok=True)
        listener.say(f"{trial} …")
        read = load_cases(self.files, self.meaning)
        shares = {case.name: trial.part.shares[case.name].parted(case.class_index) for case in read}
        voxels = sum(case.class_index.size for case in read)
        learned = tuple(
            replace(case, class_index=shares[case.name][0])
            for case in read
            if (shares[case.name][0] != UNLABELED).any()
        )
        plan = plan_for(replace(read, cases=learned), trial.network.of(self.settings))
        decided = folder / "settings.toml"
        if decided.exists():  # what was decided when it began stays decided
            plan = replace(plan, settings=read_settings(decided))
        plan.settings.write(decided)
        volumes = part(learned, "nothing", preparation_of(plan, listener)).training
        circumstances = Circumstances(folder, listener, start, gather_crew("one", listener.say))
        trained = train(plan, volumes, (), circumstances)
        if trained.early:
            raise KeyboardInterrupt
        scored = (  # read again: images in memory are normalised
            replace(load_case(self.files, case, read.scheme, self.meaning), class_index=shares[case.name][1])
            for case in self.files.cases
            if (shares[case.name][1] != UNLABELED).any()
        )
        overlaps = score_network(trained.model, describe(plan, {}), folder, scored)
        return _TrialRecord(
            steps=trained.state.step,
            minutes=trained.state.seconds / 60,
            labelled=sum(np.count_nonzero(case.class_index != UNLABELED) for case in learned) / voxels,
            overlaps={name: overlap.matrix.tolist() for name, overlap in overlaps.items()},
        )


def _gpus() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _devices(count: int) -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` is to say in each process, out of what it says here."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(_gpus())]
    return [names[number % len(names)] if names else "" for number in range(count)]


def _take_share(devices: Any, threads: int, quiet: bool) -> None:
    """Of this machine, for a process that has not used TensorFlow yet."""
    if quiet:
        quiet_tensorflow()
    os.environ["CUDA_VISIBLE_DEVICES"] = devices.get()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))


def _write(folder: Path, scores: ExperimentScores, settings: Settings) -> None:
    from keras_unet3d.evaluation.experiment_page import experiment_page
    from keras_unet3d.evaluation.page import write_page

    found = {**scores.as_json(), "settings": settings.model_dump(mode="json", exclude_none=True)}
    for name, text in (
        ("experiment.json", json.dumps(found, indent=2) + "\n"),
        ("experiment.md", scores.as_markdown()),
    ):
        with written_whole(folder / name) as file:
            file.write_text(text, encoding="utf-8")
    write_page(folder / "report.html", experiment_page(scores))
