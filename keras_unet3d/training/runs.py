"""Folders of runs: a killed one is continued by the same call, a finished one is kept and a new one begun."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.training.settings import Settings
from keras_unet3d.volumes.file_lock import locked
from keras_unet3d.volumes.stamp import stamp
from keras_unet3d.volumes.whole_file import written_whole

CHANGEABLE = {"recompute", "augment_on"}
"""Settings that a run can be continued with other values of: they decide where and how often something is computed, and
change what is learned by rounding only."""
_RUN_FILE, _LOCK_FILE = "run.json", ".lock"


@dataclass(frozen=True)
class Run:
    """A run in its folder.

    Attributes:
        folder: ``runs/<name>/<number>``: checkpoints, TensorBoard logs, ``settings.toml`` and the Keras model.
        other_unfinished: the newest run, if it is unfinished and this call does not continue it, because data,
            settings or, where trainings are compared, the version of this package differ.
    """

    folder: Path
    other_unfinished: Path | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other calls out of this run during the block; a process that is killed lets go of it, too.

        Raises:
            InputError: if another call is at work on it.
        """
        with (self.folder / _LOCK_FILE).open("a+", encoding="utf-8") as file:
            if not locked(file):
                raise InputError(
                    f"{self.folder}: the same training is running already. Wait for its end, or begin another one with "
                    "another setting, such as --seed."
                )
            yield

    def finish(self) -> None:
        """Note that the run is finished: the same call begins a new one from now on."""
        _write(self.folder, {**_read(self.folder), "finished": True})


def call_fingerprint(settings: Settings, files: Sequence[Path], *meaning: object) -> str:
    """What makes two calls the same: settings as given, files with their size and date, and what was said of labels.

    `CHANGEABLE` settings are left out.
    """
    given = settings.model_dump(mode="json", exclude=CHANGEABLE)
    text = json.dumps([given, [_noted(file) for file in files], [str(each) for each in meaning]])
    return hashlib.sha256(text.encode()).hexdigest()


def _noted(path: Path) -> list[object]:
    """The name, and size and date of its file; ``file.h5:dataset`` names a dataset within."""
    return [str(path.resolve()), *stamp(path)]


def open_run(folder: Path, fingerprint: str) -> Run:
    """Continue the newest run of this call if it is unfinished; else begin the next.

    Args:
        folder: of all runs of this name.
        fingerprint: of the call.

    Raises:
        InputError: if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        runs = _runs(folder)
        of_call = [run for run in runs if _read(run).get("fingerprint") == fingerprint]
        if of_call and not _read(of_call[-1]).get("finished"):
            return Run(of_call[-1])
        newest = runs[-1] if runs else None
        following = _make_next(folder, int(newest.name) if newest else 0)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}). Choose another folder with --runs.") from error
    _write(following, {"fingerprint": fingerprint, "finished": False})
    return Run(following, newest if newest and not _read(newest).get("finished") else None)


def _runs(folder: Path) -> list[Path]:
    """Oldest first."""
    numbers = [int(entry.name) for entry in folder.iterdir() if entry.is_dir() and entry.name.isdecimal()]
    return [folder / str(number) for number in sorted(numbers)]


def _make_next(folder: Path, newest: int) -> Path:
    """Make the folder of the next run; where another call has just made that, the one after it."""
    for number in count(newest + 1):
        with suppress(FileExistsError):
            following = folder / str(number)
            following.mkdir()
            break
    return following


def _read(folder: Path) -> dict[str, object]:
    try:
        noted = json.loads((folder / _RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _write(folder: Path, noted: dict[str, object]) -> None:
    with written_whole(folder / _RUN_FILE) as file:
        file.write_text(json.dumps(noted), encoding="utf-8")
