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
from numpy.typing import DTypeLike

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.axis import AxisTiling
from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.file_lock import locked
from keras_unet3d.volumes.scratch import ScratchVoxels
from keras_unet3d.volumes.suffixes import split_dataset
from keras_unet3d.volumes.whole_file import check_parent, written_whole

SECONDS_BETWEEN_NOTES = 2.0
"""How much work a killed segmentation loses at most, and a slab."""

_NOTES, _MOMENTS = "progress.json", "moments.npz"


class Unfinished:
    """A hidden folder beside an output, for all that is not whole yet; gone when the output is there.

    Attributes:
        folder: ``.<name of the output>.unfinished``.
        planes: written planes of each tile, by its number.
        plan: the tiles, once they are noted.
        moments: of normalisations, as far as they are fixed, by network and by name.
    """

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
        self.moments: dict[str, Fixed] = {}
        self._facts = json.loads(json.dumps(dict(facts)))
        self._noted_at = time.monotonic()
        self._results: list[ScratchVoxels] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise InputError(f"{output}: {self.folder} cannot be made ({error.strerror}).") from error
        if not locked(self._lock):
            self._lock.close()
            raise InputError(f"{output}: another process is segmenting into it. Wait for it, or name another output.")
        try:
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

    def note_plan(self, plan: TilePlan) -> None:
        """Keep the tiles, which must stay the same when the work goes on."""
        self.plan = plan
        self._note()

    def note_moments(self, network: str, fixed: Fixed) -> None:
        """Keep the moments of a network that are fixed so far."""
        self.moments[network] = dict(fixed)
        arrays = {f"{of}|{name}": np.stack(both) for of, known in self.moments.items() for name, both in known.items()}
        with written_whole(self.folder / _MOMENTS) as file, file.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

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
            raise ValueError("The plan was not noted.")
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
            "plan": self.plan and _as_json(self.plan),
            "planes": {str(number): planes for number, planes in self.planes.items()},
        }
        with written_whole(self.folder / _NOTES) as file:
            file.write_text(json.dumps(notes), encoding="utf-8")

    def _read(self) -> None:
        try:
            notes = json.loads((self.folder / _NOTES).read_text(encoding="utf-8"))
            facts, plan = dict(notes["facts"]), _plan_of(notes["plan"])
            planes = {int(number): int(planes) for number, planes in notes["planes"].items()}
            if not all(0 <= number < len(plan) for number in planes):
                raise self._damaged()
            moments = self._read_moments()
        except FileNotFoundError:
            self._clear()
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, BadZipFile) as error:
            raise self._damaged() from error
        differing = [name for name in self._facts if facts.get(name) != self._facts[name]]
        if differing:
            raise InputError(
                f"{self._output}: was begun with another {' and '.join(differing)} "
                f"({_difference(facts.get(differing[0]), self._facts[differing[0]])}). Call with what it was begun "
                f"with, or begin again without --resume."
            )
        self.plan, self.planes, self.moments = plan, planes, moments

    def _read_moments(self) -> dict[str, Fixed]:
        moments: dict[str, Fixed] = {}
        if (self.folder / _MOMENTS).exists():
            with np.load(self.folder / _MOMENTS, allow_pickle=False) as arrays:
                for key in arrays.files:
                    network, _, name = key.partition("|")
                    mean, variance = arrays[key]
                    moments.setdefault(network, {})[name] = (mean, variance)
        return moments

    def _damaged(self) -> InputError:
        return InputError(
            f"{self._output}: what is there of it ({self.folder}) is damaged. Begin again without --resume."
        )

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry.name != "lock":
                entry.unlink()


def _as_json(plan: TilePlan) -> dict[str, Any]:
    return {
        "volume": plan.volume,
        "tile": plan.tile,
        "counts": plan.counts,
        "stride": plan.stride,
        "slab": plan.slab,
        "padding": plan.geometry.padding,
        "depth": plan.geometry.depth,
        "unpooled": plan.geometry.unpooled,
        "dimensions": plan.geometry.dimensions,
    }


def _plan_of(noted: Mapping[str, Any]) -> TilePlan:
    z_levels, y_levels, x_levels = noted.get("unpooled", (0, 0, 0))  # earlier versions pooled every axis, in 3D
    geometry = Geometry(noted["padding"], noted["depth"], (z_levels, y_levels, x_levels), noted.get("dimensions", 3))
    z, y, x = (
        AxisTiling(along, *(int(noted[name][axis]) for name in ("volume", "tile", "counts", "stride")))
        for axis, along in enumerate(geometry.axes)
    )
    return TilePlan((z, y, x), noted["slab"])


def _difference(begun: Any, now: Any) -> str:
    """What was another; of files only the names, as their sizes and times say nothing to people."""
    before, after = (
        ", ".join(str(each[0]) for each in fact)
        if isinstance(fact, list) and fact and isinstance(fact[0], list)
        else str(fact[0] if isinstance(fact, list) and fact else fact)
        for fact in (begun, now)
    )
    return f"{after} has changed since" if before == after else f"{before}; now {after}"
