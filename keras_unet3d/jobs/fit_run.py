"""The folder of a training, which the same call opens again: what was decided when it began stays decided."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from keras_unet3d.errors import WorkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keras_unet3d.annotation import Dataset, Meaning
    from keras_unet3d.jobs.fit_plan import FitPlan
    from keras_unet3d.training.crew import Crew
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.resolved import ResolvedSettings
    from keras_unet3d.training.runs import Run
    from keras_unet3d.training.settings import Settings


def fingerprint_of(dataset: Dataset, settings: Settings, meaning: Meaning | None, *others: str) -> str:
    """What makes two calls the same, so that the second continues what the first has left."""
    from keras_unet3d.training.runs import call_fingerprint

    return call_fingerprint(settings, _paths(dataset), meaning, dataset.scheme, *others)


@contextmanager
def opened_run(
    plan: FitPlan, settings: Settings, fingerprint: str, folder: Path, crew: Crew, listener: Listener
) -> Iterator[tuple[FitPlan, Run]]:
    """Open the run of a call and keep other calls out of it; what was decided when it began stays decided.

    Args:
        plan: as it would be decided now.
        settings: as given.
        fingerprint: of the call.
        folder: of all runs of this name.
        crew: who trains.
        listener: told what happens.
    """
    from keras_unet3d.training.resolved import read_resolved
    from keras_unet3d.training.runs import open_run

    with ExitStack() as opened:
        if not crew.writes:
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="unet3d_worker_"))) / folder.name
        run = open_run(folder, fingerprint)
        opened.enter_context(run.alone())
        say_what_is_kept(run, listener)
        resolved_file = run.folder / "settings.toml"
        if resolved_file.exists():  # what was decided for this run stays decided, wherever it continues
            plan = continued(plan, read_resolved(resolved_file), settings)
        plan = _agreed(plan, crew)
        plan.settings.write(resolved_file)
        yield plan, run


def say_what_is_kept(run: Run, listener: Listener) -> None:
    """Say that a run is another than the last, where that one is unfinished."""
    if run.other_unfinished:
        listener.say(
            f"{run.other_unfinished} is unfinished and kept; data, settings or version differ, so a new run begins."
        )


def continued(plan: FitPlan, decided: ResolvedSettings, given: Settings) -> FitPlan:
    """The plan with what was decided when the run began; but for what may change, where it is given now."""
    from keras_unet3d.training.runs import CHANGEABLE

    changed = {name: getattr(plan.settings, name) for name in CHANGEABLE & given.model_fields_set}
    settings = decided.model_copy(update=changed)
    still = [
        each for each in plan.decisions if attrgetter(each.setting)(settings) == attrgetter(each.setting)(plan.settings)
    ]
    return replace(plan, settings=settings, decisions=tuple(still))


def _agreed(plan: FitPlan, crew: Crew) -> FitPlan:
    """The settings of worker 0, for all; with as many devices as there are now."""
    from keras_unet3d.training.plan import check_shares
    from keras_unet3d.training.resolved import ResolvedSettings
    from keras_unet3d.training.settings import validated

    settings = validated(ResolvedSettings, tomllib.loads(crew.told(plan.settings.as_toml())))
    shapes = "\n".join(
        f"{case.name} {case.class_index.shape} {np.count_nonzero(case.class_index >= 0)}" for case in plan.dataset
    )
    if crew.told(shapes) != shapes:
        raise WorkError(
            f"Worker {crew.worker} of {crew.workers} reads other data than worker 0. Give all the same files."
        )
    check_shares(settings, settings.batch_size, crew.devices)
    return replace(plan, settings=settings)


def _paths(dataset: Dataset) -> list[Path]:
    return [path for case in dataset.cases for path in (*case.images, *([case.labels] if case.labels else []))]
