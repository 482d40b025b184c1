"""One volume, segmented by several processes: plan → blocks, by whoever computes them → one label image."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.options import SegmentOptions
from keras_unet3d.jobs.models import DEFAULT_MODEL, Models, PathLike, described_models
from keras_unet3d.jobs.sameness import facts_of
from keras_unet3d.jobs.segmenting import SegmentationPlan, image_at_level, segmentation_job
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes.suffixes import stem_of, within_zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from keras_unet3d.annotation.labels import LabelScheme
    from keras_unet3d.inference.shared_work import SharedWork
    from keras_unet3d.inference.volume_job import VolumeJob

    Progress = Callable[[float], None]


@dataclass(frozen=True)
class BlockRequest:
    """What a process needs to know to compute blocks; all see the same files by the same names.

    Attributes:
        image: its file, or the files of its channels.
        output: the OME-Zarr label image.
        models: their folders, with versions; for this process alone also loaded ones, or a client.
        options: what is asked for.
        workers: processes that share the work.
    """

    image: tuple[Path, ...]
    output: Path
    models: tuple[Any, ...]
    options: SegmentOptions
    workers: int = 1

    @property
    def scheme(self) -> LabelScheme:
        """Of the labels."""
        return described_models(self.models)[0][1].scheme

    @property
    def is_measured(self) -> bool:
        """Whether the intensities of the volume have to be known."""
        return any(len(each.intensities.windows) < len(each.channels) for _, each in described_models(self.models))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that decides the result, found once for all; the precision is that of the process which begins."""
        return facts_of(self.image, described_models(self.models), self.options) | {"processor": "any"}

    def join(self) -> SharedWork:
        """The folder where processes meet."""
        from keras_unet3d.inference.shared_work import SharedWork

        return SharedWork(self.output, self.facts, self.scheme, self.workers)


class Executor(Protocol):
    """Who computes blocks: `keras_unet3d.Part`, this process, or `keras_unet3d.Dask`."""

    @property
    def workers(self) -> int:
        """Processes that share the work."""

    def takes(self, number: int) -> bool:
        """Whether it computes this piece of the work; else another process does."""

    def begin(self, request: BlockRequest, wait: Callable[[], None]) -> SegmentationPlan:
        """Decide what is the same for all blocks, by a `BlockWorker`."""

    def compute(self, request: BlockRequest, numbers: Sequence[int], looked: Progress) -> None:
        """Compute blocks, by `BlockWorker`s; `looked` is told the share of them that is done."""

    def release(self) -> None:
        """Have those let go of what they hold."""


@dataclass(frozen=True)
class BlockedSegmentation:
    """What became of a volume that several processes segment.

    Attributes:
        output: the label image.
        shares: the part of the volume that each class takes, by its name; empty while blocks are missing.
        plan: the blocks, and what each takes; None where the output was there already.
        blocks: how many there are; 0 where the output was there already.
        missing: how many of them other processes still have to do; the last one finishes the image.
        warnings: what the user should know.
    """

    output: Path
    shares: dict[str, float]
    plan: SegmentationPlan | None
    blocks: int
    missing: int
    warnings: tuple[str, ...]


def segment_in_blocks(
    image: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    executor: Executor,
    model: Models = DEFAULT_MODEL,
    options: SegmentOptions | None = None,
    on_plan: Callable[[SegmentationPlan], None] | None = None,
    on_wait: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> BlockedSegmentation:
    """Give every voxel of an image a label, by several processes, and go on with what others of them have done.

    Every process writes whole shards of one OME-Zarr label image, which appears when all blocks are there. A call that
    was interrupted is made again: what is done stays done, and an output that was made of the same stays as it is.
    Labels are those of one process, as `segment` gives them.

    Args:
        image: a file, or several files (one per channel), that all processes see by the same name.
        output: an OME-Zarr image, ``labels.ome.zarr``, or a label image within one, ``brain.ome.zarr/labels/cells``.
        executor: who computes: `keras_unet3d.Part` or `keras_unet3d.Dask`.
        model: as for `segment`.
        options: as for `segment`; what needs the whole volume at once is refused.
        on_plan: told the plan before the blocks are computed.
        on_wait: told that another process is deciding what is the same for all.
        progress: told the share of this executor's blocks that is done.

    Raises:
        InputError: if image and model do not fit each other, or something is asked for that blocks cannot give.
        WorkError: if the result cannot be written, or workers were lost again and again.
    """
    image = image_at_level(image, options)
    files = (image,) if isinstance(image, str | Path) else tuple(image)
    models = model if isinstance(model, list | tuple) else [model]
    request = BlockRequest(
        tuple(Path(file).resolve() for file in files),
        Path(output).resolve(),
        tuple(version_folder(each).resolve() if isinstance(each, str | Path) else each for each in models),
        options or SegmentOptions(),
        executor.workers,
    )
    from keras_unet3d.inference.shared_work import finished

    check_blocks(output, request.options)
    counts = finished(request.output, request.facts)
    if counts is not None:
        return _segmentation(output, request.scheme, counts, None, 0)
    try:
        planned = executor.begin(request, on_wait or (lambda: None))
        if on_plan is not None:
            on_plan(planned)
        with request.join() as work:
            numbers = [number for number in work.missing if executor.takes(number)]
            executor.compute(request, numbers, progress or (lambda _: None))
            missing = work.finish()
        return _segmentation(output, request.scheme, finished(request.output, request.facts), planned, missing)
    except (FileNotFoundError, WorkError) as error:
        counts = finished(request.output, request.facts)
        if counts is not None:  # another call has come before this one
            return _segmentation(output, request.scheme, counts, None, 0)
        if isinstance(error, WorkError):
            raise
        raise WorkError(f"{output}: what was there of it is gone. Call again.") from error
    finally:
        executor.release()


def _segmentation(
    output: PathLike,
    scheme: LabelScheme,
    counts: NDArray[np.int64] | None,
    plan: SegmentationPlan | None,
    missing: int,
) -> BlockedSegmentation:
    return BlockedSegmentation(
        Path(output),
        {} if counts is None else dict(zip(scheme.names, (counts / counts.sum()).tolist(), strict=True)),
        plan,
        len(plan.plan.tiles) if plan else 0,
        missing,
        plan.warnings if plan else (),
    )


class BlockWorker:
    """Computes blocks in this process, one call at a time; image and networks stay open from one to the next."""

    def __init__(self) -> None:
        self._one_at_a_time = Lock()
        self._released = False
        self._held: _Held | None = None

    def begin(
        self,
        request: BlockRequest,
        wait: Callable[[], None] = lambda: None,
        *,
        memory: int | None = None,
        prepare: bool = True,
    ) -> SegmentationPlan:
        """Decide tiles, precision, intensities and statistics, the same for all blocks, unless another process has.

        Args:
            request: of the blocks.
            wait: called if another process is at it.
            memory: that each process may take, where the request names none.
            prepare: whether intensities and statistics are found now, which reads the whole volume.
        """
        with self._opened(request, memory) as held, held.work.alone(wait):
            work, job = held.work, held.job
            if work.decided is None:
                labels = replace(job.volume, segments=request.scheme.segments, channels=())
                work.decide(job.plan.tiles, job.precision, labels)
            if prepare and not work.begun:
                job.prepare()
                work.note_begun()
            return SegmentationPlan(job.plan, job.precision, job.statistics, job.done, None, tuple(held.warnings))

    def compute(
        self,
        request: BlockRequest,
        numbers: Sequence[int],
        progress: Progress = lambda _: None,
        *,
        memory: int | None = None,
    ) -> None:
        """Compute some blocks.

        Args:
            request: of the blocks, begun.
            numbers: of the blocks; what is there of them is not done again.
            progress: told the share of them that is done.
            memory: as for `begin`.

        Raises:
            WorkError: if they were not begun, or what was there of them is gone.
        """
        with self._opened(request, memory) as held:
            if not held.work.begun:
                raise WorkError(f"{request.output}: its blocks are gone from {held.work.folder}. Call again.")
            held.job.run_blocks(numbers, progress)

    def release(self) -> None:
        """Let go of image and networks: now, or when what is at work here ends."""
        self._released = True
        if self._one_at_a_time.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._one_at_a_time.release()

    @contextmanager
    def _opened(self, request: BlockRequest, memory: int | None) -> Iterator[_Held]:
        try:
            with self._one_at_a_time:
                self._released = False
                if self._held is None or not self._held.serves(request):
                    self._close()
                    self._held = _Held(request, memory)
                with self._held.work:
                    yield self._held
        finally:
            if self._released:
                self.release()

    def _close(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held = None


THIS_PROCESS: Final = BlockWorker()


class _Held:
    """An image and networks that stay open from one block to the next."""

    def __init__(self, request: BlockRequest, memory: int | None) -> None:
        self.request, self._memory = request, memory
        self.work = request.join()
        self.warnings: list[str] = []
        self._job: VolumeJob | None = None
        self._stack = ExitStack()

    @property
    def job(self) -> VolumeJob:
        """By what is decided; made again if that has changed, as when somebody has removed it."""
        decided, job = self.work.decided, self._job
        if job is not None and decided and (job.plan.tiles, job.precision) != (decided.plan, decided.precision):
            self.close()
        if self._job is None:
            with ExitStack() as stack:
                self._job = self._made(stack)
                self._stack = stack.pop_all()
        return self._job

    def serves(self, request: BlockRequest) -> bool:
        """Whether they are those of a request, of the files as they are now."""
        return (self.request, self.request.facts) == (request, request.facts)

    def close(self) -> None:
        """Let go of them."""
        self._stack.close()
        self._job = None

    def _made(self, stack: ExitStack) -> VolumeJob:
        from keras_unet3d.inference.delivery import Delivery

        request, options = self.request, self.request.options
        if self.work.decided is not None:
            options = replace(options, precision=self.work.decided.precision)
        if options.memory is None:
            options = replace(options, memory=self._memory)
        image = request.image if len(request.image) > 1 else request.image[0]
        working, job = segmentation_job(image, request.models, options, stack, Delivery(self.work))
        if working.resampled:
            raise InputError(
                f"{working.resampled[:-1]}. Blocks are not resampled: segment a level of about that spacing "
                f"(--level), or in one process, without --dask and --part."
            )
        self.warnings = [*working.warnings, *job.warnings]
        return job


def check_blocks(output: PathLike, options: SegmentOptions) -> None:
    """Refuse what cannot be done in blocks, before anything is.

    Args:
        output: that they are to make.
        options: that are asked for.

    Raises:
        InputError: with what is to be left out.
    """
    whole = {
        "--probabilities": options.probabilities,
        "--uncertainty": options.uncertainty,
        "--report": options.report,
        "--largest-component, --min-size and --fill-holes": options.post_processing.wanted,
        "--statistics current": options.statistics == "current",
    }
    if asked := [name for name, value in whole.items() if value]:
        raise InputError(
            f"{', '.join(asked)}: not to be had from several processes, of which none sees the whole. Leave that "
            f"out, or --dask and --part."
        )
    if options.region is not None:
        raise InputError("--region is segmented by one process. Leave out --dask and --part.")
    if not within_zarr(output):
        raise InputError(
            f"{output}: several processes write into an OME-Zarr image. Name one, such as {stem_of(output)}.ome.zarr."
        )
