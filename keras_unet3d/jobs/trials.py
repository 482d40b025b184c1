"""The trainings of an experiment: each learns from a part of the labels and is scored on another part."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from keras_unet3d.annotation import Dataset, Meaning, load_case, load_cases
from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.errors import WorkError
from keras_unet3d.evaluation.case_view import CaseView
from keras_unet3d.jobs.fit_plan import plan_for
from keras_unet3d.jobs.fit_run import continued
from keras_unet3d.jobs.fitting import preparation_of, train
from keras_unet3d.jobs.scoring import score_network
from keras_unet3d.jobs.trained_model import describe
from keras_unet3d.metrics import Overlap
from keras_unet3d.quiet import quiet_tensorflow, tensorflow_is_quiet
from keras_unet3d.training.curves import read_curves
from keras_unet3d.volumes import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from keras_unet3d.annotation import LabelScheme
    from keras_unet3d.evaluation.experiments import TrialScore
    from keras_unet3d.evaluation.protocols import Network, Part
    from keras_unet3d.training.curves import Curves
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.settings import Settings

_RECORD_FILE = "trial.json"
_SHOWN_FILE = "prediction.npz"
_SECONDS_TO_END = 20.0
"""That trainings have to keep where they are, once Ctrl-C told them to end, too."""


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
        return ", ".join(filter(None, (self.network.name, self.part.name, self.part.alone)))

    @property
    def folder(self) -> str:
        """The name of its folder; another trial's is another, whatever signs a file system does not tell apart."""
        readable = "".join(each if each.isalnum() else "_" for each in str(self))
        return f"{readable}_{sha256(str(self).encode()).hexdigest()[:8]}"


class TrialRecord(BaseModel):
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
        """With its names."""
        from keras_unet3d.evaluation.experiments import TrialScore

        overlaps = {name: Overlap(np.asarray(matrix, np.int64)) for name, matrix in self.overlaps.items()}
        return TrialScore(trial.part.name, trial.network.name, overlaps, self.labelled, self.steps, self.minutes)


@dataclass(frozen=True, eq=False)
class Trainings:
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

    def do(self, trials: Sequence[Trial], processes: int, listener: Listener) -> Iterator[tuple[Trial, TrialRecord]]:
        """Train and score what is not done yet, so many at a time; each as it ends.

        Raises:
            WorkError: if the system ends a process; what was done is kept.
        """
        if processes < 2:
            yield from ((trial, self.record(trial, listener)) for trial in trials)
            return
        context = get_context("spawn")  # TensorFlow does not survive a fork
        devices = context.Queue()
        for device in _devices(processes):
            devices.put(device)
        threads = max((os.cpu_count() or 1) // processes, 1)
        share = (devices, threads, tensorflow_is_quiet())
        others = set(active_children())
        pool = ProcessPoolExecutor(processes, context, _take_share, share)
        waiting: dict[Future[TrialRecord], Trial] = {}
        try:
            waiting = {pool.submit(self.record, trial): trial for trial in trials}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
            pool.shutdown()
        except BrokenProcessPool as error:
            raise WorkError(
                f"The system ended one of {processes} processes, mostly for want of memory: each holds the whole "
                "dataset. Take fewer --workers: the same command goes on, and what was done is kept."
            ) from error
        except BaseException:
            for future in waiting:
                future.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            _end(set(active_children()) - others)
            raise

    def has(self, trial: Trial) -> bool:
        """Whether a training is done."""
        return (self.folder / trial.folder / _RECORD_FILE).exists()

    def record(self, trial: Trial, listener: Listener | None = None) -> TrialRecord:
        """Train and score, unless that is done."""
        from keras_unet3d.training.listener import Quiet

        done = self.folder / trial.folder / _RECORD_FILE
        if not self.has(trial):
            record = self._trained(trial, done.parent, listener or Quiet())
            with written_whole(done) as file:
                file.write_text(record.model_dump_json(), encoding="utf-8")
        return TrialRecord.model_validate_json(done.read_text(encoding="utf-8"))

    def curves(self, trial: Trial) -> Curves:
        """How a training went that is done."""
        return read_curves(self.folder / trial.folder)

    def view(self, trial: Trial, scheme: LabelScheme) -> CaseView | None:
        """Of the cases that were scored, the one that the network of a training that is done does worst.

        Args:
            trial: is done.
            scheme: of the dataset.

        Returns:
            None where an older version kept nothing to show.
        """
        kept = self.folder / trial.folder / _SHOWN_FILE
        if not kept.exists():
            return None
        with np.load(kept) as found:
            if "name" not in found:
                return None
            name, prediction, steps = str(found["name"]), found["found"], found["steps"]
        (files,) = (case for case in self.files.cases if case.name == name)
        case = load_case(self.files, files, scheme, self.meaning)
        learned, scored = trial.part.shares[name].parted(case.class_index)
        channels = self.files.channel_names or tuple(f"channel {n}" for n in range(case.image.voxels.shape[-1]))
        annotation = learned if (learned != UNLABELED).any() else None
        return CaseView(
            name,
            case.image.voxels,
            case.image.grid,
            channels,
            scheme,
            prediction,
            scored,
            "Scored",
            annotation,
            steps,
        )

    def _trained(self, trial: Trial, folder: Path, listener: Listener) -> TrialRecord:
        from keras_unet3d.training.crew import gather_crew
        from keras_unet3d.training.held_out import part
        from keras_unet3d.training.resolved import read_resolved
        from keras_unet3d.training.trainer import Circumstances

        start = time.monotonic()
        folder.mkdir(exist_ok=True)
        listener.say(f"{trial} …")
        read = load_cases(self.files, self.meaning)
        parted = {
            case.name: trial.part.shares[case.name].parted(case.class_index)
            for case in read
            if case.name in trial.part.shares
        }
        voxels = sum(learned.size for learned, _ in parted.values())
        learned = tuple(
            replace(case, class_index=parted[case.name][0])
            for case in read
            if case.name in parted and (parted[case.name][0] != UNLABELED).any()
        )
        plan = plan_for(replace(read, cases=learned), trial.network.of(self.settings))
        decided = folder / "settings.toml"
        if decided.exists():  # what was decided when it began stays decided
            plan = continued(plan, read_resolved(decided), self.settings)
        plan.settings.write(decided)
        volumes = part(learned, "nothing", preparation_of(plan, listener)).training
        circumstances = Circumstances(folder, listener, start, gather_crew("one", listener.say))
        trained = train(plan, volumes, (), circumstances)
        if trained.early:
            raise KeyboardInterrupt
        scored = (  # read again: images in memory are normalised
            replace(load_case(self.files, case, read.scheme, self.meaning), class_index=parted[case.name][1])
            for case in self.files.cases
            if case.name in parted and (parted[case.name][1] != UNLABELED).any()
        )
        overlaps = score_network(trained.model, describe(plan, {}), folder, scored, kept=folder / _SHOWN_FILE)
        return TrialRecord(
            steps=trained.state.step,
            minutes=trained.state.seconds / 60,
            labelled=sum(np.count_nonzero(case.class_index != UNLABELED) for case in learned) / voxels,
            overlaps={name: overlap.matrix.tolist() for name, overlap in overlaps.items()},
        )


def _end(processes: Iterable[BaseProcess]) -> None:
    """Have processes end; those that do not in a while are ended."""
    last = time.monotonic() + _SECONDS_TO_END
    for process in processes:
        process.join(max(last - time.monotonic(), 0))
        if process.is_alive():
            process.terminate()


def gpus() -> int:
    """Of this machine."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _devices(count: int) -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` is to say in each process, out of what it says here."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(gpus())]
    return [names[number % len(names)] if names else "" for number in range(count)]


def _take_share(devices: Any, threads: int, quiet: bool) -> None:
    """Of this machine, for a process that has not used TensorFlow yet."""
    if quiet:
        quiet_tensorflow()
    os.environ["CUDA_VISIBLE_DEVICES"] = devices.get()
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # another process may share the GPU
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
