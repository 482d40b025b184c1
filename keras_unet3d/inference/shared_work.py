"""A segmentation that several processes share: each computes some blocks, and any may die and be started again."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.facts import difference, digest
from keras_unet3d.inference.moments import Fixed
from keras_unet3d.inference.moments_file import read_moments, write_moments
from keras_unet3d.inference.results import class_dtype
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.inference.unfinished import noted_intensity
from keras_unet3d.network.work import Precision
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.file_lock import locked
from keras_unet3d.volumes.label_image import LabelImage, made_of
from keras_unet3d.volumes.volume import Volume
from keras_unet3d.volumes.whole_file import check_parent, written_whole

_NOTES, _MOMENTS, _BLOCKS, _LABELS = "shared.json", "moments.npz", "blocks", "labels"
_SECONDS_BETWEEN_LOOKS = 0.5


class SharedWork:
    """The hidden folder beside an OME-Zarr output in which processes meet, of one machine or of many.

    Every tile of the plan is a block that one process computes. It is written in layers of whole shards, from the first
    plane to the last; when a layer is on the disk, a marker says so, ``blocks/<number>.<planes>``. A block that is
    computed by two processes is written twice alike.

    Attributes:
        folder: ``.<name of the output>.unfinished``.
        workers: how many processes the plan is made for.
        begun: whether all is there that a block needs.
        planes: written planes of each block, by its number, when `look` looked.
        plan: the blocks, once they are noted.
        precision: of the features, which all processes keep to.
        intensity: offset and scale ``(channel, 2)`` of the volume, once they are noted.
        moments: of normalisations, as far as they are fixed, by network and by name.
    """

    def __init__(self, output: Path, facts: Mapping[str, Any], scheme: LabelScheme, workers: int = 1) -> None:
        """Join, or begin.

        Args:
            output: the OME-Zarr image that is being made.
            facts: all that decides the result, as JSON; another segmentation is not joined.
            scheme: of the labels.
            workers: how many processes a plan is to be made for.

        Raises:
            InputError: if the output cannot be written, a process is at work on it that does not share, or the work was
                begun with another image, model or setting.
        """
        check_parent(output)
        self._output, self._scheme, self.workers = output.resolve(), scheme, workers
        self.folder = self._output.with_name(f".{self._output.name}.unfinished")
        self._facts = json.loads(json.dumps(dict(facts)))
        self.begun = False
        self.plan: TilePlan | None = None
        self.precision: Precision | None = None
        self.intensity: NDArray[np.float32] | None = None
        self.moments: dict[str, Fixed] = {}
        self.planes: dict[int, int] = {}
        try:
            (self.folder / _BLOCKS).mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise InputError(f"{output}: {self.folder} cannot be made ({error.strerror}).") from error
        if not locked(self._lock, shared=True):
            self._lock.close()
            raise InputError(f"{output}: another process is segmenting into it. Wait for it, or name another output.")
        try:
            self.look()
        except BaseException:
            self._lock.close()
            raise

    @property
    def missing(self) -> list[int]:
        """Numbers of the blocks that are not whole, when `look` looked."""
        if self.plan is None:
            raise ValueError("The plan was not noted.")
        shapes = (tile.write.shape for tile in self.plan)
        return [number for number, shape in enumerate(shapes) if self.planes.get(number, 0) < shape[0]]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Voxels of each class, of the blocks that are there."""
        counts: NDArray[np.int64] = np.zeros(len(self._scheme.values), np.int64)
        for number, planes in self.planes.items():
            counts += self._counted(number, planes)
        return counts

    @contextmanager
    def alone(self, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Do what one process does for all; others wait for it.

        Args:
            wait: called once, if another process is at it.
        """
        with (self.folder / "alone").open("a") as file:
            waited = False
            while not locked(file):
                if not waited:
                    wait()
                    waited = True
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            yield

    def look(self) -> None:
        """See what is there by now.

        Raises:
            InputError: if it is of another segmentation, or damaged.
        """
        try:
            notes = json.loads((self.folder / _NOTES).read_text(encoding="utf-8"))
            begun, plan, precision = dict(notes["facts"]), TilePlan.from_json(notes["plan"]), notes["precision"]
            is_begun, intensity, moments = (
                bool(notes["begun"]),
                noted_intensity(notes),
                read_moments(self.folder / _MOMENTS),
            )
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self._output}: what is there of it ({self.folder}) is damaged. Remove that folder to begin again."
            ) from error
        differs = difference(begun, self._facts)
        if differs and not is_begun:  # nor will it be
            return
        if differs:
            raise InputError(
                f"{self._output}: {differs}. Call with what it was begun with, or remove {self.folder} to begin again."
            )
        self.plan, self.precision, self.begun = plan, precision, is_begun
        self.intensity, self.moments = intensity, moments
        self.look_at_blocks()

    def look_at_blocks(self) -> None:
        """See which blocks are there by now."""
        self.planes = {}
        for marker in (self.folder / _BLOCKS).iterdir():
            number, _, planes = marker.name.partition(".")
            if number.isdecimal() and planes.isdecimal():
                self.planes[int(number)] = max(self.planes.get(int(number), 0), int(planes))

    def note_plan(self, plan: TilePlan) -> None:
        """Take the blocks; `begin` keeps them. What is there of another call goes."""
        self.plan = plan
        shutil.rmtree(self.folder / _LABELS, ignore_errors=True)
        (self.folder / _MOMENTS).unlink(missing_ok=True)

    def begin(self, precision: Precision) -> None:
        """Keep what was decided."""
        self.precision = precision
        self._note()

    def note_intensity(self, intensity: NDArray[np.float32]) -> None:
        """Keep the offset and scale of the volume."""
        self.intensity = intensity
        self._note()

    def note_moments(self, network: str, fixed: Fixed) -> None:
        """Keep the moments of a network that are fixed so far."""
        self.moments[network] = dict(fixed)
        write_moments(self.folder / _MOMENTS, self.moments)

    def note_begun(self) -> None:
        """Blocks can be computed."""
        self.begun = True
        self._note()

    def create(self, labels: Volume) -> None:
        """Make the label image that blocks are written into.

        Args:
            labels: its grid and header; the voxels are not looked at.
        """
        if self.plan is None:
            raise ValueError("The plan was not noted.")
        if not (self.folder / _LABELS).exists():
            z, y, x = (axis.length if axis.count == 1 else axis.stride for axis in self.plan.axes)
            LabelImage.create(self.folder / _LABELS, self._output, labels, self._scheme.dtype, (z, y, x))

    def voxels(self, name: str, shape: Sequence[int], dtype: DTypeLike) -> "BlockClasses":
        """Take the class indices of blocks."""
        if self.plan is None or name != "classes":
            raise ValueError(f"Expected classes, for a plan that was noted. Received: {name}")
        image = LabelImage(self.folder / _LABELS)
        classes = BlockClasses(image, self.plan, self._scheme, self.planes, self._note_block, self._counted)
        if (tuple(shape), np.dtype(dtype)) != (classes.shape, classes.dtype):
            raise ValueError(f"Expected {classes.dtype} of {classes.shape}. Received: {dtype} of {shape}")
        return classes

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
                self.look_at_blocks()
                if missing := len(self.missing):
                    return missing
                made = {"facts": digest(self._facts), "voxels": self.counts.tolist()}
                LabelImage(self.folder / _LABELS).finish(self._output, made)
                shutil.rmtree(self.folder, ignore_errors=True)
        except FileNotFoundError:  # another process has
            if self.folder.exists():
                raise
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what is done to the others, and to whoever calls again; where nothing is, nothing stays."""
        self._lock.close()
        if error is not None and self.planes:
            error.add_note("What is done is kept: call again to go on.")
        with suppress(OSError), (self.folder / "lock").open("a") as lock:
            if not (self.folder / _NOTES).exists() and locked(lock):
                shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self) -> None:
        notes = {
            "facts": self._facts,
            "plan": self.plan and self.plan.as_json(),
            "precision": self.precision,
            "begun": self.begun,
            "intensity": self.intensity.tolist() if self.intensity is not None else None,
        }
        with written_whole(self.folder / _NOTES) as file:
            file.write_text(json.dumps(notes), encoding="utf-8")

    def _note_block(self, number: int, planes: int, counts: NDArray[np.int64]) -> None:
        """Mark planes of a block as written."""
        before, self.planes[number] = self.planes.get(number, 0), planes
        marker = self._marker(number, planes)
        beside = marker.with_name(f"{marker.name}-{os.getpid()}")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump(counts.tolist(), file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(marker)
        except OSError as error:
            raise WorkError(f"{marker}: could not be written ({error.strerror or error}).") from error
        if before:
            self._marker(number, before).unlink(missing_ok=True)

    def _counted(self, number: int, planes: int) -> NDArray[np.int64]:
        """Voxels of each class in the planes of a block that are written."""
        if not planes:
            return np.zeros(len(self._scheme.values), np.int64)
        return np.array(json.loads(self._marker(number, planes).read_text(encoding="utf-8")), np.int64)

    def _marker(self, number: int, planes: int) -> Path:
        return self.folder / _BLOCKS / f"{number}.{planes}"


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
    return np.array(made["voxels"], np.int64)


class BlockClasses:
    """Takes the class indices of blocks, slab by slab, and writes them as labels, layer by layer."""

    ndim = 3

    def __init__(
        self,
        image: LabelImage,
        plan: TilePlan,
        scheme: LabelScheme,
        planes: Mapping[int, int],
        note: Callable[[int, int, NDArray[np.int64]], None],
        counted: Callable[[int, int], NDArray[np.int64]],
    ) -> None:
        """Prepare.

        Args:
            image: that is written.
            plan: whose tiles are the blocks.
            scheme: of the labels.
            planes: of each block that are written already.
            note: told the number of a block, how many of its planes are written, and the voxels of each class in them.
            counted: the same voxels of a block that was begun.
        """
        self._image, self._plan, self._scheme, self._note = image, plan, scheme, note
        self._planes, self._counted = planes, counted
        self._waiting: dict[int, list[NDArray[Any]]] = {}
        self._counts: dict[int, NDArray[np.int64]] = {}
        self.shape: tuple[int, ...] = plan.volume
        self.dtype: np.dtype[Any] = np.dtype(class_dtype(scheme.classes))

    def __getitem__(self, part: Any, /) -> NDArray[Any]:
        """Not to be had."""
        raise ValueError("Blocks are read from the image that they were written to.")

    def write(self, box: Box, voxels: NDArray[Any]) -> None:
        """Take the class indices of planes that follow the ones before them in their block."""
        number = self._plan.at(box.start)
        block = self._plan[number].write
        waiting = self._waiting.setdefault(number, [])
        if number not in self._counts:
            self._counts[number] = self._counted(number, self._planes.get(number, 0))
        waiting.append(voxels)
        first = box.stop[0] - sum(map(len, waiting))
        end = box.stop[0] if box.stop[0] == block.stop[0] else box.stop[0] // self._image.layer * self._image.layer
        if end <= first:
            return
        classes = np.concatenate(waiting)
        self._waiting[number] = [classes[end - first :]]
        classes = classes[: end - first]
        self._counts[number] += np.bincount(classes.ravel(), minlength=len(self._counts[number]))
        self._image.write(Box((first, *block.start[1:]), (end, *block.stop[1:])), self._scheme.label_values(classes))
        if end == block.stop[0]:
            self._image.halve(block)
            del self._waiting[number]
        self._note(number, end - block.start[0], self._counts[number])
        if end == block.stop[0]:
            del self._counts[number]
