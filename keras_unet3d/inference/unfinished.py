"""A segmentation on its way: what is done is on disk, so that a killed one can go on."""

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.facts import difference
from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.moments_file import read_moments, write_moments
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.file_lock import locked
from keras_unet3d.volumes.scratch import ScratchVoxels
from keras_unet3d.volumes.suffixes import split_dataset
from keras_unet3d.volumes.whole_file import check_parent, written_whole

SECONDS_BETWEEN_NOTES = 2.0
"""How much work a killed segmentation loses at most, and a slab."""

_NOTES, _MOMENTS = "progress.json", "moments.npz"
SHARED_NOTES = "shared.json"
"""Of processes that share the same folder (`keras_unet3d.inference.shared_work`)."""


class Unfinished:
    """A hidden folder beside an output, for all that is not whole yet; gone when the output is there.

    Attributes:
        folder: ``.<name of the output>.unfinished``.
        planes: written planes of each tile, by its number.
        plan: the tiles, once they are noted.
        intensity: offset and scale ``(channel, 2)`` of the volume, once they are noted.
        moments: of normalisations, as far as they are fixed, by network and by name.
        workers: None: no other process shares the volume.
    """

    workers: None = None

    def __init__(self, output: Path, facts: Mapping[str, Any], *, resume: bool) -> None:
        """Begin, or go on with what is there.

        Args:
            output: the file that is being made.
            facts: all that decides the result, as JSON; another segmentation is not gone on with.
            resume: whether to go on; else what is there is removed.

        Raises:
            InputError: if the output cannot be written, another process is at work on it, or what is to be resumed is
                of another image, model or setting.
        """
        check_parent(output)
        self._output = output
        file, _ = split_dataset(output)
        target = file.resolve()
        self.folder = target.with_name(f".{target.name}.unfinished")
        self.planes: dict[int, int] = {}
        self.plan: TilePlan | None = None
        self.intensity: NDArray[np.float32] | None = None
        self.moments: dict[str, Fixed] = {}
        self._facts = json.loads(json.dumps(dict(facts)))
        self._noted_at = time.monotonic()
        self._results: list[ScratchVoxels] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("a+")
        except OSError as error:
            raise InputError(f"{output}: {self.folder} cannot be made ({error.strerror}).") from error
        if not locked(self._lock):
            self._lock.close()
            raise InputError(f"{output}: another process is segmenting into it. Wait for it, or name another output.")
        try:
            self._check_not_shared()
            if resume:
                self._read()
            else:
                self._clear()
        except BaseException:
            self._lock.close()
            raise

    @property
    def resumed(self) -> bool:
        """Whether work was found that is not done again."""
        return bool(self.planes or self.moments)

    def keep_plan(self, plan: TilePlan) -> None:
        """Keep the tiles, which must stay the same when the work goes on."""
        if self.plan is None:
            self.plan = plan
            self._note()

    def note_intensity(self, intensity: NDArray[np.float32]) -> None:
        """Keep the offset and scale of the volume."""
        self.intensity = intensity
        self._note()

    def note_moments(self, network: str, fixed: Fixed) -> None:
        """Keep the moments of a network that are fixed so far."""
        self.moments[network] = dict(fixed)
        write_moments(self.folder / _MOMENTS, self.moments)

    def voxels(self, name: str, shape: Sequence[int], dtype: DTypeLike) -> ScratchVoxels:
        """A result of this name, with what is there of it already.

        Raises:
            InputError: if it should be there and is not.
            WorkError: if the disk has no room for it.
        """
        path = self.folder / f"{name}.raw"
        if self.planes and not path.exists():
            raise self._damaged()
        result = ScratchVoxels(path, shape, dtype)
        self._results.append(result)
        return result

    def wrote(self, number: int, box: Box) -> None:
        """Count a box of a tile as written, behind those before it; every few seconds, make sure of all.

        Args:
            number: of the tile.
            box: written, of every result.
        """
        if self.plan is None:
            raise ValueError("The plan was not kept.")
        self.planes[number] = box.stop[0] - self.plan[number].write.start[0]
        if time.monotonic() - self._noted_at > SECONDS_BETWEEN_NOTES:
            self._note()
            self._noted_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what is done, unless nothing is, and tell whoever sees the error how to go on."""
        if error is None or not self.resumed:
            self._remove()
            return
        error.add_note("What is done is kept: continue with --resume (from Python: SegmentOptions(resume=True)).")
        with suppress(WorkError, InputError):  # on a full disk; the older notes are still true
            self._note()
        self._close_results()
        self._lock.close()

    def _close_results(self) -> None:
        for result in self._results:
            result.close()

    def _remove(self) -> None:
        self._close_results()
        if sys.platform == "win32":  # which removes no open file, and where the lock keeps nobody out
            self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _note(self) -> None:
        """Write down what is done, once it is on the disk itself: what notes say is true after a power cut, too."""
        for result in self._results:
            result.flush()
        notes = {
            "facts": self._facts,
            "plan": self.plan and self.plan.as_json(),
            "intensity": self.intensity.tolist() if self.intensity is not None else None,
            "planes": {str(number): planes for number, planes in self.planes.items()},
        }
        with written_whole(self.folder / _NOTES) as file:
            file.write_text(json.dumps(notes), encoding="utf-8")

    def _read(self) -> None:
        try:
            notes = json.loads((self.folder / _NOTES).read_text(encoding="utf-8"))
            facts, plan = dict(notes["facts"]), TilePlan.from_json(notes["plan"])
            planes = {int(number): int(planes) for number, planes in notes["planes"].items()}
            if not all(0 <= number < len(plan) for number in planes):
                raise self._damaged()
            moments = read_moments(self.folder / _MOMENTS)
            intensity = noted_intensity(notes)
        except FileNotFoundError:
            self._clear()
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, BadZipFile) as error:
            raise self._damaged() from error
        if differs := difference(facts, self._facts):
            raise InputError(
                f"{self._output}: {differs}. Call with what it was begun with, or begin again without --resume."
            )
        self.plan, self.planes, self.moments, self.intensity = plan, planes, moments, intensity

    def _check_not_shared(self) -> None:
        """What several processes have done is not thrown away by one that does not know of it."""
        if (self.folder / SHARED_NOTES).exists():
            raise InputError(
                f"{self._output}: was begun by several processes, and what they have done is kept. Go on with --dask "
                f"or --part 1/1, or remove {self.folder} to begin again."
            )

    def _damaged(self) -> InputError:
        return InputError(
            f"{self._output}: what is there of it ({self.folder}) is damaged. Begin again without --resume."
        )

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()


def noted_intensity(notes: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The offset and scale of a volume, if notes have them."""
    noted = notes.get("intensity")
    return None if noted is None else np.array(noted, np.float32)
