"""What volumes take that do not fit here: rates that are measured on this machine, and what follows from them.

    python benchmarks/growth.py models/kidney-phantom --memory 16GB

The first table is measured, with one process: a phantom as OME-Zarr is read, its intensities are measured, the network
computes a tile, labels are written as several processes write them. The second is computed: the plans are those that
`unet3d segment --dask` would make for cubes of so many voxels, with so much memory for each worker, and the times are
those of workers that are as fast as this machine. Measuring the intensities waits for the storage, too, which gives
--storage bytes a second to all of them together; to the network it gives what is said there. The last to finish writes
the coarsest levels alone.
"""

import argparse
import time
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import keras_unet3d as unet3d
from keras_unet3d.inference import Demand, Plan, make_plan
from keras_unet3d.inference.axis import AxisTiling
from keras_unet3d.inference.budget import held_memory, parse_memory
from keras_unet3d.phantom import kidney
from keras_unet3d.serving import read_description
from keras_unet3d.volumes import open_image
from keras_unet3d.volumes.blocks import blocks
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.intensity import volume_intensity
from keras_unet3d.volumes.label_image import LabelImage
from keras_unet3d.volumes.ome_zarr_writing import CHUNK, level_shapes
from keras_unet3d.volumes.value_sums import Bounds, Sums, measured, portions

PHANTOM = (128, 256, 256)
SIZES = ((7, 1), (8, 1), (9, 4), (10, 16), (11, 64), (12, 256), (13, 1024))
"""Voxels, as a power of ten, and workers."""
COLUMNS = (
    "voxels",
    "image",
    "workers",
    "memory of each",
    "blocks",
    "work",
    "network",
    "worker hours",
    "measuring, each pass",
    "reading, all",
    "labels",
    "files",
    "blocks/s",
    "the last",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--memory", default="16GB", help="of each worker")
    parser.add_argument("--storage", default="2GB", help="a second, for all workers together")
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        flops, measuring, writing, image_bytes, label_bytes = measure(arguments, folder)
        size = read_description(arguments.model).size
        print(f"\n| {' | '.join(COLUMNS)} |\n{'| --- ' * len(COLUMNS)}|")
        for exponent, workers in SIZES:
            side = round(10 ** (exponent / 3) / 64) * 64
            demand = Demand(size, column=CHUNK * size.channels)
            budget = parse_memory(arguments.memory)
            plan = make_plan((side,) * 3, demand, budget, held_memory(), workers=workers)
            rounds = -(-len(plan.tiles) // workers)
            seconds = rounds * plan.flop / len(plan.tiles) / flops
            read = prod(read_along(axis) for axis in plan.tiles.axes) * image_bytes
            chunks = size.channels * prod(chunks_along(axis) for axis in plan.tiles.axes)
            number, coarse = files(plan, folder / f"{exponent}.ome.zarr")
            row = [
                f"10^{exponent}, x=y=z={side:,}",
                stored(side**3 * image_bytes),
                f"{workers:,}",
                stored(plan.memory),
                f"{len(plan.tiles):,}",
                f"{plan.overhead:.2f} times",
                shown(seconds),
                f"{workers * seconds / 3600:,.2g}" if workers * seconds < 36000 else f"{workers * seconds / 3600:,.0f}",
                shown(max(side**3 / measuring / workers, side**3 * image_bytes / parse_memory(arguments.storage))),
                f"{stored(read)} in {chunks:,} chunks, {read / seconds / 1e6:,.0f} MB/s",
                stored(side**3 * label_bytes),
                f"{number:,}",
                f"{len(plan.tiles) / seconds:.2g}",
                shown(coarse / writing),
            ]
            print(f"| {' | '.join(row)} |", flush=True)


def measure(arguments: argparse.Namespace, folder: Path) -> tuple[float, float, float, float, float]:
    """Operations, voxels measured and labels written per second; bytes of an image's and of a label's voxel, stored."""
    made = kidney(PHANTOM)
    low, high = made.image.min(), made.image.max()
    voxels = ((made.image - low) * (255 / (high - low))).astype(np.uint8)
    path, count = folder / "image.ome.zarr", prod(PHANTOM)
    unet3d.write_image(path, unet3d.Volume(voxels, made.grid))
    image_bytes = size_of(path / "0") / count
    print(f"| of one process here, voxels of {voxels.shape[-1]} channels | |\n| --- | --- |")
    with open_image(path) as image:
        start = time.perf_counter()
        for box in blocks(Box((0, 0, 0), PHANTOM), 4, (64, 64, 64), 1 << 24):
            image.voxels[box.slices]
        reading = count / (time.perf_counter() - start)
        passes = []

        def counted(bounds: Bounds) -> list[Sums]:
            passes.append(bounds)
            return [measured(image.voxels, part, bounds) for part in portions(image.voxels)]

        start = time.perf_counter()
        volume_intensity(image.voxels, counted)
        measuring = len(passes) * count / (time.perf_counter() - start)
    model, options = unet3d.load_model(arguments.model), unet3d.SegmentOptions(precision="float32")
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        plan = unet3d.segment(path, model=model, options=options).plan
        flops = plan.flop / (time.perf_counter() - start)
    labels, unfinished = made.truth.astype(np.uint8), folder / "unfinished"
    LabelImage.create(
        unfinished, folder / "labels.ome.zarr", unet3d.Volume(labels, made.grid), np.uint8, (64, 256, 256)
    )
    start = time.perf_counter()
    for first in range(0, PHANTOM[0], 64):
        box, image_of = Box((first, 0, 0), (first + 64, *PHANTOM[1:])), LabelImage(unfinished)
        image_of.write(box, labels[box.slices])
        image_of.halve(box)
    writing = count / (time.perf_counter() - start)
    label_bytes = size_of(unfinished) / count
    for name, text in {
        "read": f"{reading / 1e6:,.0f} million voxels/s, {image_bytes:.2g} bytes each as they are stored",
        "intensities measured, reading included": f"{measuring / 1e6:,.0f} million voxels/s, {len(passes)} passes",
        "network, float32": f"{flops / 1e9:,.0f} GFLOP/s, "
        f"{flops / plan.flop * plan.overhead * count / 1e6:.2f} million voxels/s where nothing is computed twice",
        "labels written, with lower levels": f"{writing / 1e6:,.0f} million voxels/s, {label_bytes:.2g} bytes each",
    }.items():
        print(f"| {name} | {text} |")
    return flops, measuring, writing, image_bytes, label_bytes


def read_along(axis: AxisTiling) -> int:
    """Voxels that all tiles read along an axis."""
    starts = (axis.read_start(i) for i in range(axis.count))
    return sum(min(start + axis.tile, axis.length) - max(start, 0) for start in starts)


def chunks_along(axis: AxisTiling) -> int:
    """Chunks that all tiles read along an axis, each as often as tiles read of it."""
    starts = (axis.read_start(i) for i in range(axis.count))
    ends = ((max(start, 0), min(start + axis.tile, axis.length)) for start in starts)
    return sum(-(-stop // CHUNK) - start // CHUNK for start, stop in ends)


def files(plan: Plan, output: Path) -> tuple[int, int]:
    """Of all levels of the labels; and how many labels are halved when all blocks are there."""
    grid = unet3d.Grid(plan.tiles.volume)
    z, y, x = (axis.length if axis.count == 1 else axis.stride for axis in plan.tiles.axes)
    folder = output.with_suffix(".unfinished")
    labels = unet3d.Volume(np.broadcast_to(np.uint8(0), grid.shape), grid)
    LabelImage.create(folder, output, labels, np.uint8, (z, y, x))
    image, shapes = LabelImage(folder), [shape for _, shape in level_shapes(grid)]
    number = sum(
        prod(-(-length // size) for length, size in zip(shape, shard, strict=True))
        for shape, shard in zip(shapes, image.shards, strict=True)
    )
    return number, sum(map(prod, shapes[max(image.blockwise, 1) - 1 : -1]))


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def stored(amount: float) -> str:
    """Bytes, in the unit that people would name."""
    unit, size = next((pair for pair in (("TB", 1e12), ("GB", 1e9)) if amount >= pair[1]), ("MB", 1e6))
    return f"{amount / size:,.1f} {unit}"


def shown(seconds: float) -> str:
    """In the unit that people would name."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":
    main()
