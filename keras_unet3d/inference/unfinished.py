"""A segmentation on its way: what is done is on disk, so that a killed one can go on."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.axis import AxisTiling
from keras_unet3d.inference.statistics import Fixed
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.file_lock import locked
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
        file, _ = split_dataset(output)
        target = file.resolve()
        self.folder = target.with_name(f".{target.name}.unfinished")
        self.planes: dict[int, int] = {}
        self.plan: TilePlan | None = None
        self.moments: dict[str, Fixed] = {}
        self._facts = json.loads(json.dumps(dict(facts)))
        self._noted_at = time.monotonic()
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise InputError(f"{output}: {self.folder} cannot be made ({error.strerror}).") from error
        if not locked(self._lock):
            self._lock.close()
            raise InputError(f"{output}: another process is segmenting into it. Wait for it, or name another output.")
        if not resume:
            self._clear()
            return
        try:
            self._read(output)
        except InputError:
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

    def wrote(self, number: int, box: Box, flush: Callable[[], None]) -> None:
        """Count a box of a tile as written; every few seconds, make sure of it.

        Args:
            number: of the tile.
            box: written.
            flush: puts all that was written on the disk.
        """
        if self.plan is None:
            raise ValueError("The plan was not noted.")
        self.planes[number] = box.stop[0] - self.plan[number].write.start[0]
        if time.monotonic() - self._noted_at > SECONDS_BETWEEN_NOTES:
            flush()
            self._note()
            self._noted_at = time.monotonic()

    def remove(self) -> None:
        """The output is whole: nothing of this is needed any more."""
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what is done, unless nothing is, and tell whoever sees the error how to go on."""
        if error is None or not self.resumed:
            self.remove()
            return
        error.add_note("What is done is kept: continue with --resume (from Python: SegmentOptions(resume=True)).")
        with suppress(WorkError, InputError):  # on a full disk; the older notes are still true
            self._note()
        self._lock.close()

    def _note(self) -> None:
        plan = self.plan and {
            "volume": self.plan.volume,
            "tile": self.plan.tile,
            "counts": self.plan.counts,
            "stride": self.plan.stride,
            "slab": self.plan.slab,
            "padding": self.plan.geometry.padding,
            "depth": self.plan.geometry.depth,
        }
        notes = {"facts": self._facts, "plan": plan, "planes": {str(key): value for key, value in self.planes.items()}}
        with written_whole(self.folder / _NOTES) as file:
            file.write_text(json.dumps(notes), encoding="utf-8")

    def _read(self, output: Path) -> None:
        try:
            notes = json.loads((self.folder / _NOTES).read_text(encoding="utf-8"))
            facts, plan = notes["facts"], notes["plan"]
            planes = {int(key): int(value) for key, value in notes["planes"].items()}
            geometry = Geometry(plan["padding"], plan["depth"])
            axes = [
                AxisTiling(geometry, *(int(plan[name][axis]) for name in ("volume", "tile", "counts", "stride")))
                for axis in range(3)
            ]
            tiles = TilePlan((axes[0], axes[1], axes[2]), plan["slab"])
        except FileNotFoundError:
            self._clear()
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{output}: what is there of it ({self.folder}) is damaged. Begin again without --resume."
            ) from error
        differing = [name for name in self._facts if facts.get(name) != self._facts[name]]
        if differing:
            raise InputError(
                f"{output}: was begun with another {' and '.join(differing)} "
                f"({_difference(facts.get(differing[0]), self._facts[differing[0]])}). Call with what it was begun "
                f"with, or begin again without --resume."
            )
        self.plan, self.planes = tiles, planes
        if (self.folder / _MOMENTS).exists():
            with np.load(self.folder / _MOMENTS, allow_pickle=False) as arrays:
                for key in arrays.files:
                    network, _, name = key.partition("|")
                    mean, variance = arrays[key]
                    self.moments.setdefault(network, {})[name] = (mean, variance)

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry.name != "lock":
                entry.unlink()


def _difference(begun: Any, now: Any) -> str:
    """What was another; of files only the names, as their sizes and times say nothing to people."""
    before, after = (
        ", ".join(str(each[0]) for each in fact)
        if isinstance(fact, list) and fact and isinstance(fact[0], list)
        else str(fact[0] if isinstance(fact, list) and fact else fact)
        for fact in (begun, now)
    )
    return f"{after} has changed since" if before == after else f"{before}; now {after}"
