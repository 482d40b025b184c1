"""A segmentation that several processes share: each computes some blocks, and any may die and be started again."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.block_classes import BlockClasses
from keras_unet3d.inference.block_markers import BlockMarkers
from keras_unet3d.inference.facts import difference, digest
from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.moments_file import read_moments, write_moments
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.inference.unfinished import SHARED_NOTES
from keras_unet3d.network.work import Precision
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.file_lock import locked
from keras_unet3d.volumes.label_image import LabelImage, made_of
from keras_unet3d.volumes.ome_zarr_writing import register
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.whole_file import check_parent, written_whole

_NOTES, _INTENSITY, _MOMENTS, _BEGUN = SHARED_NOTES, "intensity.json", "moments.npz", "begun.json"
_BLOCKS, _LABELS, _LOCK = "blocks", "labels", "lock"
_KEPT = "What is done is kept: call again to go on."
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, eq=False)
class Decisions:
    """What one process decides for all, each only once; whoever computes blocks reads it.

    Attributes:
        plan: the blocks.
        precision: of the features.
        intensity: offset and scale ``(channel, 2)`` of the volume, once they are known.
        moments: of normalisations, as far as they are fixed, by network and by name.
        begun: whether all is there that a block needs.
    """

    plan: TilePlan
    precision: Precision
    intensity: NDArray[np.float32] | None
    moments: Mapping[str, Fixed]
    begun: bool


class SharedWork:
    """The hidden folder beside an OME-Zarr output in which processes meet, of one machine or of many.

    Every tile of the plan is a block that one process computes. It is written in layers of whole shards, from the first
    plane to the last; when a layer is on the disk, a marker says so. A block that is computed by two processes is
    written twice alike.

    Within ``with``, no process enters that has the output for itself. What is the same for all blocks is decided within
    `alone`, and by nobody else.

    Attributes:
        folder: ``.<name of the output>.unfinished``.
        workers: how many processes the plan is made for.
        decided: when `look` looked; None where nothing was.
    """

    def __init__(self, output: Path, facts: Mapping[str, Any], scheme: LabelScheme, workers: int = 1) -> None:
        """Prepare.

        Args:
            output: the OME-Zarr image that is being made.
            facts: all that decides the result, as JSON; another segmentation is not joined.
            scheme: of the labels.
            workers: how many processes a plan is to be made for.
        """
        self._output, self._scheme, self.workers = output.resolve(), scheme, workers
        self.folder = folder_of(output)
        self._facts = json.loads(json.dumps(dict(facts)))
        self.decided: Decisions | None = None
        self._markers = BlockMarkers(self.folder / _BLOCKS, len(scheme.values))
        self._is_alone = False
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        """Join, or begin.

        Raises:
            InputError: if the output cannot be written, a process is at work on it that does not share, or the work was
                begun with another image, model or setting.
        """
        check_parent(self._output)
        try:
            (self.folder / _BLOCKS).mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("a+")
        except OSError as error:
            raise InputError(f"{self._output}: {self.folder} cannot be made ({error.strerror}).") from error
        if not locked(self._lock, shared=True):
            self._lock.close()
            raise InputError(
                f"{self._output}: another process is segmenting into it. Wait for it, or name another output."
            )
        try:
            self.look()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what is done to the others, and to whoever calls again; where nothing is, nothing stays."""
        if self._lock is not None:
            self._lock.close()
        if error is not None and self.planes and _KEPT not in getattr(error, "__notes__", ()):
            error.add_note(_KEPT)
        if (self.folder / _NOTES).exists():
            return
        with suppress(OSError), (self.folder / _LOCK).open("a+") as lock:
            if locked(lock) and not (self.folder / _NOTES).exists():
                shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def plan(self) -> TilePlan | None:
        """The blocks, once they are decided."""
        return self.decided.plan if self.decided else None

    @property
    def intensity(self) -> NDArray[np.float32] | None:
        """Offset and scale ``(channel, 2)`` of the volume, once they are decided."""
        return self.decided.intensity if self.decided else None

    @property
    def moments(self) -> Mapping[str, Fixed]:
        """Of normalisations, as far as they are decided."""
        return self.decided.moments if self.decided else {}

    @property
    def begun(self) -> bool:
        """Whether all is there that a block needs."""
        return self.decided is not None and self.decided.begun

    @property
    def planes(self) -> Mapping[int, int]:
        """Written planes of each block, by its number, when `look` looked, and what was written here since."""
        return self._markers.planes

    @property
    def missing(self) -> list[int]:
        """Numbers of the blocks that are not whole, when `look` looked."""
        shapes = (tile.write.shape for tile in self._decided.plan)
        return [number for number, shape in enumerate(shapes) if self.planes.get(number, 0) < shape[0]]

    @property
    def _decided(self) -> Decisions:
        if self.decided is None:
            raise WorkError(
                f"{self._output}: what was there of it is gone from {self.folder}. Call again to begin again."
            )
        return self.decided

    @contextmanager
    def alone(self, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Do what one process does for all; others wait for it.

        Args:
            wait: called once, if another process is at it.
        """
        with (self.folder / "alone").open("a+") as file:
            waited = False
            while not locked(file):
                if not waited:
                    wait()
                    waited = True
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            self._is_alone = True
            try:
                self.look()
                yield
            finally:
                self._is_alone = False

    def look(self) -> None:
        """See what is there by now.

        Raises:
            InputError: if it is of another segmentation, or damaged.
        """
        self.decided, self._markers.planes = None, {}
        try:
            notes = json.loads((self.folder / _NOTES).read_text(encoding="utf-8"))
            intensity = self._read(_INTENSITY)
            facts, decided = (
                dict(notes["facts"]),
                Decisions(
                    TilePlan.from_json(notes["plan"]),
                    notes["precision"],
                    None if intensity is None else np.array(intensity, np.float32),
                    read_moments(self.folder / _MOMENTS),
                    bool(self._read(_BEGUN)),
                ),
            )
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise InputError(
                f"{self._output}: what is there of it ({self.folder}) is damaged. Remove that folder to begin again."
            ) from error
        differs = difference(facts, self._facts)
        if differs and not decided.begun:  # nor will it be
            return
        if differs:
            raise InputError(
                f"{self._output}: {differs}. Call with what it was begun with, or remove {self.folder} to begin again."
            )
        self.decided = decided
        self.look_at_blocks()

    def look_at_blocks(self) -> None:
        """See which blocks are there by now."""
        self._markers.look()

    def decide(self, plan: TilePlan, precision: Precision, labels: Volume) -> None:
        """Make the label image that blocks are written into. What is there of another call goes.

        Args:
            plan: the blocks.
            precision: of the features, which all processes keep to.
            labels: their grid and header; the voxels are not looked at.
        """
        self._check_alone()
        for name in (_NOTES, _BEGUN, _INTENSITY, _MOMENTS):
            (self.folder / name).unlink(missing_ok=True)
        for name in (_LABELS, _BLOCKS):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / _BLOCKS).mkdir()
        z, y, x = (axis.length if axis.count == 1 else axis.stride for axis in plan.axes)
        LabelImage.create(self.folder / _LABELS, self._output, labels, self._scheme.dtype, (z, y, x))
        self._write(_NOTES, {"facts": self._facts, "plan": plan.as_json(), "precision": precision})

    def note_intensity(self, intensity: NDArray[np.float32]) -> None:
        """Decide the offset and scale of the volume."""
        self._note(_INTENSITY, intensity.tolist())

    def note_moments(self, network: str, fixed: Fixed) -> None:
        """Keep the moments of a network that are fixed so far."""
        self._check_alone()
        write_moments(self.folder / _MOMENTS, {**self._decided.moments, network: dict(fixed)})
        self.look()

    def note_begun(self) -> None:
        """Have blocks computed."""
        self._note(_BEGUN, True)

    def voxels(self, name: str, shape: Sequence[int], dtype: DTypeLike) -> BlockClasses:
        """Take the class indices of blocks."""
        if name != "classes":
            raise ValueError(f"Expected classes. Received: {name}")
        image = LabelImage(self.folder / _LABELS)
        classes = BlockClasses(image, self._decided.plan, self._scheme, self._markers)
        if (tuple(shape), np.dtype(dtype)) != (classes.shape, classes.dtype):
            raise ValueError(f"Expected {classes.dtype} of {classes.shape}. Received: {dtype} of {shape}")
        return classes

    def keep_plan(self, plan: TilePlan) -> None:
        """Nothing: `decide` has."""

    def wrote(self, number: int, box: Box) -> None:
        """Nothing: blocks are counted as their layers are written."""

    def finish(self) -> int:
        """Make the output if all blocks are there, unless another process has, and say how many are missing.

        Raises:
            InputError: if something has come to be in its place.
            WorkError: if it cannot be written.
        """
        try:
            with self.alone():
                if self.decided is None and self._output.exists():
                    return 0
                if missing := len(self.missing):
                    return missing
                none = np.zeros(len(self._scheme.values), np.int64)
                counts = sum(starmap(self._markers.counted, self.planes.items()), none)
                made = {"facts": digest(self._facts), "voxels": counts.tolist()}
                LabelImage(self.folder / _LABELS).finish(self._output, made)
                shutil.rmtree(self.folder, ignore_errors=True)
        except FileNotFoundError:  # another process has
            if self.folder.exists():
                raise
        return 0

    def _read(self, name: str) -> Any:
        """What was decided; None, if nothing was."""
        file = self.folder / name
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def _note(self, name: str, decided: Any) -> None:
        """Keep what was decided, if the plan that it is decided for is still there."""
        self._check_alone()
        if self._decided:
            self._write(name, decided)

    def _write(self, name: str, decided: Any) -> None:
        with written_whole(self.folder / name) as file:
            file.write_text(json.dumps(decided), encoding="utf-8")
        self.look()

    def _check_alone(self) -> None:
        if not self._is_alone:
            raise ValueError("What is the same for all is decided by one process, alone.")


def folder_of(output: Path) -> Path:
    """Where processes meet that make an output."""
    target = output.resolve()
    return target.with_name(f".{target.name}.unfinished")


def finished(output: Path, facts: Mapping[str, Any]) -> NDArray[np.int64] | None:
    """Voxels of each class in an output that was finished and is of the same facts; None, if nothing is there.

    Raises:
        InputError: if something else is there.
    """
    if not output.exists():
        return None
    made = made_of(output)
    if not isinstance(made, dict) or made.get("facts") != digest(facts):
        raise InputError(f"{output}: exists already. Remove it first, or choose another name.")
    register(output)  # which a process that was killed just now has not done
    shutil.rmtree(folder_of(output), ignore_errors=True)
    return np.array(made["voxels"], np.int64)
