"""Workers of dask: of this machine, of a cluster that is there, or started as jobs of Slurm or LSF."""

from __future__ import annotations

import math
import re
import time
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from keras_unet3d.errors import InputError, UNet3DError, WorkError
from keras_unet3d.jobs.segmenting_blocks import THIS_PROCESS, BlockRequest
from keras_unet3d.volumes import open_image
from keras_unet3d.volumes.intensity import volume_intensity
from keras_unet3d.volumes.value_sums import Bounds, Sums, measured, portions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.jobs.segmenting import SegmentationPlan
    from keras_unet3d.volumes.box import Box

Item = TypeVar("Item", bound="Hashable")

RETRIES = 2
"""How often a piece of work is tried again that has failed; one whose worker was lost is not counted."""

SHARE = 0.75
"""Of a worker's memory, that its work may take: dask itself restarts a worker at 95 %."""

SECONDS_BETWEEN_LOOKS = 2.0

SECONDS_WITHOUT_WORKERS = 60.0
"""After which it is said that there are none."""

_WAITING = 4
"""Pieces of work for each worker that the scheduler knows of: the next is there when one is done."""

_JOBS = {"slurm": "SLURMCluster", "lsf": "LSFCluster"}
_WHERE = re.compile(r"(?P<kind>local|slurm|lsf):(?P<count>[1-9]\d*)|(?P<address>(?:tcp|tls|ucx|wss?)://\S+)")


class Dask:
    """Workers that each compute one piece of work at a time, and are replaced where they are lost.

    Example:
        >>> with Dask("local:2") as workers:
        ...     segment_in_blocks("brain.ome.zarr", "labels.ome.zarr", executor=workers)
    """

    def __init__(self, where: str) -> None:
        """Connect to workers, or start them.

        Args:
            where: ``tcp://host:8786`` of a scheduler; ``local:N`` for N processes of this machine; ``slurm:N`` or
                ``lsf:N`` for N jobs, as the configuration of dask-jobqueue says.

        Raises:
            InputError: if that cannot be meant, the library is not installed, or nobody answers.
        """
        found = _read_where(where)
        self._where, self._stack = where, ExitStack()
        with ExitStack() as stack:
            self._client, self._replace_lost = _connected(found, stack)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __str__(self) -> str:
        return f"{self._where}, {self.workers} workers; what they do: {self._client.dashboard_link}"

    @property
    def workers(self) -> int:
        """How many there are, or will be."""
        named = self.named_workers(self._where)
        return named if named is not None else max(1, len(self._known))

    @staticmethod
    def named_workers(where: str) -> int | None:
        """How many would be started; None: there is a scheduler that knows.

        Raises:
            InputError: if that cannot be meant.
        """
        count = _read_where(where)["count"]
        return int(count) if count else None

    @property
    def _known(self) -> dict[str, dict[str, Any]]:
        """The workers that are there now, which the scheduler is asked for, by their addresses."""
        workers: dict[str, dict[str, Any]] = self._client.scheduler_info(n_workers=-1)["workers"]
        return workers

    @property
    def warnings(self) -> list[str]:
        """What the user should know of them."""
        if not (several := sum(worker["nthreads"] > 1 for worker in self._known.values())):
            return []
        told = (
            f"{several} of the workers take several tasks at a time, which they do one after the other while others "
            f"may wait. Start them with one thread: dask worker --nthreads 1."
        )
        return [told]

    def takes(self, number: int) -> bool:  # noqa: ARG002
        """Every piece of work is done by one of them."""
        return True

    @staticmethod
    def check_models(models: Sequence[Any]) -> None:
        """Make sure that workers can load them.

        Raises:
            InputError: if they are no folders.
        """
        if not all(isinstance(model, str | Path) for model in models):
            raise InputError(
                "Workers load models by their folders. Name folders; servers need no workers: leave out --dask."
            )

    def begin(self, request: BlockRequest, wait: Callable[[], None]) -> SegmentationPlan:  # noqa: ARG002
        """Decide what is the same for all blocks, on a worker, and have all of them measure the intensities."""
        self.check_models(request.models)
        smallest = min(filter(None, (worker["memory_limit"] for worker in self._known.values())), default=None)
        self._all(partial(_plan_on_worker, smallest=smallest), [request])
        self._measure(request)
        planned: SegmentationPlan = self._all(_begin_on_worker, [request])[request]
        return planned

    def _measure(self, request: BlockRequest) -> None:
        """Find the intensities of the volume, unless they are known or not wanted."""
        with request.join() as work, work.alone():
            if work.intensity is not None or not request.is_measured:
                return
            with open_image(request.image) as volume:
                boxes = portions(volume.voxels)

                def measure(bounds: Bounds) -> list[Sums]:
                    found = self._all(partial(_measure_on_worker, request, bounds), boxes)
                    return [found[box] for box in boxes]

                work.note_intensity(volume_intensity(volume.voxels, measure))

    def compute(self, request: BlockRequest, numbers: Sequence[int], looked: Callable[[float], None]) -> None:
        """Compute blocks."""
        with request.join() as work:
            plan = work.plan
            if plan is None:
                raise ValueError("The blocks were not begun.")
            blocks = {number: plan[number].write for number in numbers}
            total = sum(block.voxels for block in blocks.values())

            def look() -> None:
                work.look_at_blocks()
                done = (work.planes.get(number, 0) / block.shape[0] * block.voxels for number, block in blocks.items())
                looked(sum(done) / total if total else 1.0)

            self._all(partial(_compute_on_worker, request), numbers, look)

    def release(self) -> None:
        """Have all workers let go of image and networks; those that cannot be reached hold nothing."""
        with suppress(Exception):
            self._client.run(_release_on_worker, on_error="ignore")

    def _all(
        self, function: Callable[[Item], Any], items: Iterable[Item], look: Callable[[], None] = lambda: None
    ) -> dict[Item, Any]:
        """What `each` gives, by item.

        Raises:
            UNet3DError: as soon as a piece of work fails.
        """
        found = {}
        for item, outcome in self.each(function, items, look):
            if isinstance(outcome, UNet3DError):
                raise outcome
            found[item] = outcome
        return found

    def each(
        self, function: Callable[[Item], Any], items: Iterable[Item], look: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Item, Any]]:
        """Do a piece of work for each item, on the workers, and give what comes back in the order of its coming.

        Args:
            function: that workers can import.
            items: which the network carries.
            look: called every few seconds, and at the end.

        Yields:
            The item, and what the work gave, or why it failed though it was tried again: an `UNet3DError`.

        Raises:
            WorkError: if the scheduler is lost.
        """
        distributed = _library("distributed")
        waiting: Iterator[Item] = iter(items)
        known: dict[Any, Item] = {}
        absence = _Absence(str(self._where))
        enough, looked_at = 0, -math.inf
        try:
            while True:
                if time.monotonic() - looked_at >= SECONDS_BETWEEN_LOOKS:
                    with self._reached():
                        enough = _WAITING * self.workers
                        self._replace_lost()
                        absence.look(there=bool(self._client.scheduler_info(n_workers=1)["workers"]))
                    look()
                    looked_at = time.monotonic()
                while len(known) < enough and (item := next(waiting, None)) is not None:
                    with self._reached():
                        known[self._client.submit(function, item, retries=RETRIES, pure=False)] = item
                if not known:
                    look()
                    return
                outcomes = {}
                with self._reached():
                    done: Any = ()
                    with suppress(TimeoutError, distributed.TimeoutError):
                        done = distributed.wait(list(known), SECONDS_BETWEEN_LOOKS, "FIRST_COMPLETED").done
                    for future in done:
                        with suppress(TimeoutError, distributed.TimeoutError):  # lost with its worker meanwhile
                            outcomes[future] = _outcome(future)
                for future, outcome in outcomes.items():
                    yield known.pop(future), outcome
        finally:
            with suppress(OSError, distributed.CancelledError):
                self._client.cancel(list(known))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """A block that needs the scheduler.

        Raises:
            WorkError: if it is lost; all pieces of work are cancelled then.
        """
        try:
            yield
        except (OSError, _library("distributed").CancelledError) as error:
            raise WorkError(
                f"{self._where}: the connection to the scheduler was lost. What is done is kept: call again when it is "
                f"there."
            ) from error


def _read_where(where: str) -> re.Match[str]:
    found = _WHERE.fullmatch(where.strip())
    if found is None:
        raise InputError(
            f"Expected the address of a dask scheduler, such as tcp://host:8786, or local:N, slurm:N or lsf:N for "
            f"N workers. Received: {where!r}"
        )
    return found


class _Absence:
    """Says once that there have been no workers for a while, and again if they come and go."""

    def __init__(self, where: str) -> None:
        self._where, self._since, self._told = where, time.monotonic(), False

    def look(self, *, there: bool) -> None:
        """See how long it has been.

        Args:
            there: whether there is a worker now.
        """
        if there:
            self._since, self._told = time.monotonic(), False
        elif not self._told and time.monotonic() - self._since > SECONDS_WITHOUT_WORKERS:
            warnings.warn(
                f"{self._where}: no worker has been there for {SECONDS_WITHOUT_WORKERS:.0f} s. Jobs may wait in their "
                f"queue, or end as soon as they start, which their logs tell. What is done is kept: it goes on when "
                f"one comes, and with the same call.",
                stacklevel=2,
            )
            self._told = True


def _connected(where: re.Match[str], stack: ExitStack) -> tuple[Any, Callable[[], None]]:
    """A client of the workers, and what replaces those that were lost.

    Both are closed with `stack`, as are workers that were started for it.
    """
    distributed = _library("distributed")
    kind, count = where["kind"], int(where["count"] or 0)
    replace_lost: Callable[[], None] = _nothing  # processes of this machine are replaced; others are not ours
    try:
        if kind == "local":
            cluster = stack.enter_context(distributed.LocalCluster(n_workers=count, threads_per_worker=1))
        elif kind:
            cluster = stack.enter_context(_job_cluster(kind))
            replace_lost = partial(cluster.scale, jobs=count)  # submits what is missing, whenever it is called
            replace_lost()
        client = distributed.Client(cluster if kind else where["address"], timeout=30)
        return stack.enter_context(client), replace_lost
    except (OSError, ValueError, TypeError) as error:
        told = str(error).partition("\n")[0].rstrip(".:,")
        way_out = " Its configuration, ~/.config/dask/jobqueue.yaml, says what a job has." if kind in _JOBS else ""
        raise InputError(f"{where[0]}: no workers are to be had from there ({told}).{way_out}") from error


def _nothing() -> None:
    pass


def _job_cluster(kind: str) -> Any:
    cluster = getattr(_library("dask_jobqueue"), _JOBS[kind])
    return cluster(processes=1, worker_extra_args=["--nthreads", "1"])


def _library(name: str) -> Any:
    """A library of the extra, imported when it is used.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"--dask needs {name.replace('_', '-')}, which is not installed: pip install 'keras-unet3d[distributed]'"
        ) from error


def _outcome(future: Any) -> Any:
    """What came of a piece of work.

    Raises:
        TimeoutError: if it is not there, or not any more.
    """
    error = future.exception(SECONDS_BETWEEN_LOOKS)
    if error is None:
        return future.result(SECONDS_BETWEEN_LOOKS)
    if isinstance(error, UNet3DError):
        return error
    if isinstance(error, _library("distributed").KilledWorker):
        return WorkError(
            "Workers were lost over the same piece of work again and again, perhaps for want of memory: give each of "
            "them more, or let the work take less (--memory)."
        )
    return WorkError(f"A worker failed: {type(error).__name__}: {error}")


def on_worker(options: SegmentOptions, smallest: int | None = None) -> SegmentOptions:
    """Options within the memory of the worker that this process is, or within that of the smallest one."""
    from keras_unet3d.inference.budget import default_budget

    limit = _memory_of_worker(smallest)
    if options.memory is not None or limit is None:
        return options
    return replace(options, memory=min(limit, default_budget()))


def _memory_of_worker(smallest: int | None = None) -> int | None:
    """What its work may take; None where that is not told, and on GPUs, whose memory is another."""
    from keras_unet3d.inference.devices import devices

    limits = [_library("distributed").get_worker().memory_manager.memory_limit, smallest]
    if devices() != (None,) or not any(limits):
        return None
    return int(SHARE * min(limit for limit in limits if limit))


def _plan_on_worker(request: BlockRequest, smallest: int | None) -> SegmentationPlan:
    return THIS_PROCESS.begin(request, memory=on_worker(request.options, smallest).memory, prepare=False)


def _measure_on_worker(request: BlockRequest, bounds: Bounds, box: Box) -> Sums:
    with open_image(request.image) as volume:
        return measured(volume.voxels, box, bounds)


def _begin_on_worker(request: BlockRequest) -> SegmentationPlan:
    return THIS_PROCESS.begin(request, memory=_memory_of_worker())


def _compute_on_worker(request: BlockRequest, number: int) -> None:
    THIS_PROCESS.compute(request, [number], memory=_memory_of_worker())


def _release_on_worker() -> None:
    THIS_PROCESS.release()
