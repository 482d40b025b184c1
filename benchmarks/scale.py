"""One large volume, segmented by one process and by several, which are killed on the way.

    python benchmarks/scale.py volume models/kidney-phantom --size 'x=1024 y=1024 z=512'
    python benchmarks/scale.py kills models/kidney-phantom --size 'x=1024 y=1024 z=512'
    python benchmarks/scale.py scheduler --pieces 3000

- volume: `unet3d segment` of an OME-Zarr image by one process, by two workers of dask and in four parts at once, on
  this machine; seconds with everything that is done once, memory of the largest process and of all.
- kills: the workers of dask, one of which is killed at random three times; the same four parts, all killed at random
  three times and started again; and so the call of dask with all of its workers. Work is counted in voxels that go into
  the network.
- scheduler: how many of --pieces blocks one scheduler and two workers finish in a second with an empty network: they
  look what is there, write, flush and mark a block of 64 voxels an axis with its lower levels, and read and compute
  nothing. Beside it, pieces of work that do nothing at all.

The volume is a phantom that is mirrored as often as needed. It stays in --folder, and so do the labels.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Self

import numpy as np
import psutil
import zarr
from counting import counted
from numpy.typing import NDArray

import keras_unet3d as unet3d
from keras_unet3d.inference.tiles import TilePlan, block_tilings
from keras_unet3d.jobs import dask_workers
from keras_unet3d.jobs.segmenting_blocks import BlockRequest
from keras_unet3d.phantom import kidney
from keras_unet3d.serving.description import read_description
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes import open_image
from keras_unet3d.volumes.axes import named, parse_named
from keras_unet3d.volumes.box import Box, Triple, read_mirrored
from keras_unet3d.volumes.ome_zarr_writing import attributes, create_array, level_shapes
from keras_unet3d.volumes.slabs import slabs

PHANTOM = (128, 256, 256)
COUNTING = Path(__file__).with_name("counting.py")
WORKERS, PARTS = 2, 4
WARM_UP = 100
"""Blocks that are not counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("volume", "kills", "scheduler"))
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/kidney-phantom"))
    parser.add_argument("--size", default="x=1024 y=1024 z=512")
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "unet3d-scale")
    parser.add_argument("--memory", default="4GB", help="of each of several processes; one alone takes as much as all")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pieces", type=int, default=3000)
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    {"volume": volume, "kills": kills, "scheduler": scheduler}[arguments.table](arguments)


def volume(arguments: argparse.Namespace) -> None:
    image = made_image(arguments)
    print("| way | blocks | s | thousand voxels/s | largest process | all | labels that differ |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    whole = arguments.folder / "whole.ome.zarr"
    for name, output, calls in ways(arguments, image):
        shutil.rmtree(output, ignore_errors=True)
        start = time.monotonic()
        with Running([*calls], arguments) as running:
            running.wait()
        seconds = time.monotonic() - start
        shape = unet3d.read_labels(output).voxels.shape
        rate = prod(shape) / seconds / 1000
        print(
            f"| {name} | {running.blocks} | {seconds:.0f} | {rate:,.0f} | {running.largest / 1e9:.1f} GB "
            f"| {running.together / 1e9:.1f} GB | {differing(whole, output)} |",
            flush=True,
        )


def kills(arguments: argparse.Namespace) -> None:
    image = made_image(arguments)
    whole = arguments.folder / "whole.ome.zarr"
    chance = np.random.default_rng(arguments.seed)
    print("| what is killed | blocks | when, of the work | voxels computed twice | labels that differ |")
    print("| --- | --- | --- | --- | --- |")
    alone, *shared = ways(arguments, image)
    if not whole.exists():
        with Running(alone[2], arguments) as running:
            running.wait()
    dask, parts = shared
    for (name, output, calls), what in ((dask, "a worker"), (parts, "all of them"), (dask, "all of it")):
        shutil.rmtree(output, ignore_errors=True)
        moments = sorted(chance.uniform(0.05, 0.95) for _ in range(arguments.kills))
        waiting, plan = list(moments), None
        while not output.exists():
            with Running([*calls], arguments, count_on=True) as running:
                while running.alive:
                    found, share = progress(output)
                    plan = found or plan
                    if waiting and share >= waiting[0]:
                        waiting.pop(0)
                        if what == "a worker":
                            os.kill(int(chance.choice(running.workers())), signal.SIGKILL)
                        else:
                            running.kill()
                    time.sleep(0.1)
        total = counted(arguments.folder / "counted")
        (arguments.folder / "counted").unlink()
        needed = sum(tile.read.voxels for tile in plan or ())
        shown = ", ".join(f"{moment:.0%}" for moment in moments)
        print(
            f"| {name}: {what} | {len(plan or ())} | {shown} | {total / needed - 1:.1%} | {differing(whole, output)} |",
            flush=True,
        )


def scheduler(arguments: argparse.Namespace) -> None:
    print("| work | workers | pieces | s | pieces/s |\n| --- | --- | --- | --- | --- |")
    request, plan = empty_blocks(arguments)
    with unet3d.Dask(f"local:{WORKERS}") as workers:
        numbers = range(min(arguments.pieces, len(plan) - WARM_UP))
        for pieces in (range(WARM_UP), numbers):
            start = time.monotonic()
            done = sum(1 for _ in workers.each(nothing, pieces))
            seconds = time.monotonic() - start
        print(f"| nothing | {WORKERS} | {done:,} | {seconds:.1f} | {done / seconds:,.0f} |", flush=True)
        setattr(dask_workers, "_compute_on_worker", write_block)  # noqa: B010
        workers.compute(request, range(WARM_UP), lambda _: None)
        start = time.monotonic()
        workers.compute(request, [WARM_UP + number for number in numbers], lambda _: None)
        seconds = time.monotonic() - start
        print(f"| an empty block | {WORKERS} | {len(numbers):,} | {seconds:.1f} | {len(numbers) / seconds:,.0f} |")


def empty_blocks(arguments: argparse.Namespace) -> tuple[BlockRequest, TilePlan]:
    """Blocks of the smallest size, begun, of an image of which nothing is stored."""
    image, output = (arguments.folder / f"{name}.ome.zarr" for name in ("empty", "empty-labels"))
    shutil.rmtree(image, ignore_errors=True)
    model = version_folder(arguments.model).resolve()
    request = BlockRequest((image,), output, (model,), unet3d.SegmentOptions(precision="float32"), WORKERS)
    description = read_description(model)
    z, y, x = (64 * max(4, round((arguments.pieces + WARM_UP) ** (1 / 3)) + 3) for _ in range(3))
    voxels = np.broadcast_to(np.uint8(0), (z, y, x, len(description.channels)))
    volume = unet3d.Volume(voxels, unet3d.Grid((z, y, x), (1.0, 1.0, 1.0), unit="mm"))
    group = zarr.open_group(str(image), mode="w", zarr_format=3)
    for number, (_, shape) in enumerate(level_shapes(volume.grid)):
        create_array(group, str(number), (voxels.shape[-1], *shape), voxels.dtype, 3)
    group.attrs.update(attributes(image, volume, "empty", channels=[("", (0, 1))] * voxels.shape[-1]))
    geometry = description.geometry.geometry
    axes = [block_tilings(length, axis)[-1] for length, axis in zip((z, y, x), geometry.axes, strict=True)]
    plan = TilePlan((axes[0], axes[1], axes[2]), 64)
    shutil.rmtree(request.join().folder, ignore_errors=True)
    with request.join() as work, work.alone():
        work.decide(plan, "float32", unet3d.Volume(voxels[..., 0], volume.grid, segments=request.scheme.segments))
        work.note_intensity(np.ones((voxels.shape[-1], 2), np.float32))
        work.note_begun()
    return request, plan


def nothing(number: int) -> int:
    """No work."""
    return number


def write_block(request: BlockRequest, number: int) -> None:
    """What a worker does for a block, but for reading it and computing it."""
    from keras_unet3d.inference.segmentation import TileWork

    def write(self: TileWork, number: int, predictor: Any, writer: Any) -> None:  # noqa: ARG001
        box = self.plan[number].write
        probabilities = np.zeros((*box.shape, predictor.classes), np.float32)
        probabilities[..., -1] = 1
        self._write(number, box, probabilities)

    setattr(TileWork, "_compute", write)  # noqa: B010
    dask_workers.THIS_PROCESS.compute(request, [number])


def ways(arguments: argparse.Namespace, image: Path) -> Iterator[tuple[str, Path, Sequence[Sequence[str]]]]:
    """What it is called, its output, and the calls that make it, all at once."""

    def call(output: Path, *options: str) -> list[str]:
        return ["segment", str(image), str(output), "--model", str(arguments.model), "--json", *options]

    outputs = [arguments.folder / f"{name}.ome.zarr" for name in ("whole", "dask", "parts")]
    amount = float(arguments.memory.removesuffix("GB"))
    yield "one process", outputs[0], [call(outputs[0], "--memory", f"{amount * WORKERS}GB", "--precision", "float32")]
    each = ["--memory", arguments.memory, "--precision", "float32"]
    yield f"dask, {WORKERS} workers", outputs[1], [call(outputs[1], "--dask", f"local:{WORKERS}", *each)]
    parts = [call(outputs[2], "--part", f"{number + 1}/{PARTS}", *each) for number in range(PARTS)]
    yield f"{PARTS} parts", outputs[2], parts


class Running:
    """Calls of `unet3d` at the same time, and how much memory they take."""

    def __init__(
        self, calls: Sequence[Sequence[str]], arguments: argparse.Namespace, *, count_on: bool = False
    ) -> None:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        if count_on:
            environment |= {
                "COUNTED_VOXELS": str(arguments.folder / "counted"),
                "DASK_DISTRIBUTED__WORKER__PRELOAD": str(COUNTING),
            }
        self._processes = [
            subprocess.Popen([sys.executable, COUNTING, *call], stdout=subprocess.PIPE, env=environment, text=True)
            for call in calls
        ]
        self.largest = self.together = 0
        self.blocks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        told = [process.communicate()[0] for process in self._processes]
        self.blocks = max(
            ((json.loads(each)["segmented"][0]["plan"] or {"tiles": 0})["tiles"] for each in told if each), default=0
        )

    @property
    def alive(self) -> bool:
        """Whether any still runs; looks at their memory, too."""
        self._measure()
        return any(process.poll() is None for process in self._processes)

    def wait(self) -> None:
        """Until all have ended."""
        while self.alive:
            time.sleep(0.2)
        if any(process.returncode for process in self._processes):
            raise SystemExit("A call failed.")

    def kill(self) -> None:
        """All of them, at once."""
        for process in self._all():
            with ignored():
                process.kill()

    def workers(self) -> list[int]:
        """Processes with a network, but not the first."""
        found = []
        for process in self._all()[1:]:
            with ignored():
                if process.memory_info().rss > 2e8:
                    found.append(process.pid)
        return found

    def _measure(self) -> None:
        sizes = []
        for process in self._all():
            with ignored():
                sizes.append(process.memory_info().rss)
        self.largest, self.together = max([self.largest, *sizes]), max(self.together, sum(sizes))

    def _all(self) -> list[psutil.Process]:
        found = []
        for process in self._processes:
            with ignored():
                root = psutil.Process(process.pid)
                found += [root, *root.children(recursive=True)]
        return found


@contextmanager
def ignored() -> Iterator[None]:
    """Processes end as they like."""
    try:
        yield
    except psutil.NoSuchProcess:
        return


def progress(output: Path) -> tuple[TilePlan | None, float]:
    """The plan of what is being made, and which share of it is marked as done."""
    folder = output.with_name(f".{output.name}.unfinished")
    try:
        plan = TilePlan.from_json(json.loads((folder / "shared.json").read_text())["plan"])
        markers = [entry.name.split(".") for entry in (folder / "blocks").iterdir()]
    except FileNotFoundError:
        return None, 0.0
    planes: dict[int, int] = {}
    for number, count in (marker for marker in markers if len(marker) == 2 and marker[1].isdecimal()):
        planes[int(number)] = max(planes.get(int(number), 0), int(count))
    done = sum(count * prod(plan[number].write.shape[1:]) for number, count in planes.items())
    return plan, done / prod(plan.volume)


def made_image(arguments: argparse.Namespace) -> Path:
    """The volume, written unless it is there."""
    z, y, x = (int(length) for length in parse_named(arguments.size))
    path = arguments.folder / f"image-{x}-{y}-{z}.ome.zarr"
    if not path.exists():
        phantom = kidney(PHANTOM)
        low, high = phantom.image.min(), phantom.image.max()
        voxels = ((phantom.image - low) * (255 / (high - low))).astype(np.uint8)
        grid = unet3d.Grid((z, y, x), phantom.grid.spacing, unit=phantom.grid.unit)
        start = time.monotonic()
        unet3d.write_image(path, unet3d.Volume(Mirrored(voxels, grid.shape), grid))  # type: ignore[arg-type]
        print(f"{path}: {named(grid.shape)}, written in {time.monotonic() - start:.0f} s\n")
    return path


class Mirrored:
    """A small volume, mirrored about its borders as often as needed."""

    ndim = 4

    def __init__(self, voxels: NDArray[np.uint8], shape: Triple) -> None:
        self._voxels, self.shape, self.dtype = voxels, (*shape, voxels.shape[3]), voxels.dtype

    def __getitem__(self, part: Any, /) -> NDArray[np.uint8]:
        return read_mirrored(self._voxels, Box.of(part, self.shape))


def differing(one: Path, other: Path) -> str:
    """How many labels of two images differ, read slab by slab."""
    with open_image(one) as first, open_image(other) as second:
        differ = sum(
            np.count_nonzero(first.voxels[box.slices] != second.voxels[box.slices]) for box in slabs(first.voxels)
        )
        return f"{differ} of {prod(first.grid.shape):,}"


if __name__ == "__main__":
    main()
