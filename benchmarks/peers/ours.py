"""This package on the same volume, from memory to uint8 labels, under a memory budget.

    python benchmarks/peers/ours.py --volume 'x=248 y=244 z=64' --precision bfloat16 --budget 4GB

Prints one line of JSON. `--tile` computes tiles of one size as a whole, without a plan, as the paper does; `--bare`
only the network, on planes that are there already.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from measurement import CHANNELS, CLASSES, FILTERS, argument_parser, peak_resident_bytes, read_job, report, sizes

from keras_unet3d.inference.axis import axis_tiling
from keras_unet3d.inference.budget import default_budget, held_memory, parse_memory
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.planning import Demand, make_plan
from keras_unet3d.inference.results import HeldVoxels, Results
from keras_unet3d.inference.segmentation import TileWork
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.network.unet import build_unet3d
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.scratch import ScratchVoxels

INTENSITY = np.tile(np.float32([0, 1]), (CHANNELS, 1))


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--padding", choices=("valid", "same"), default="valid")
    parser.add_argument("--budget", type=parse_memory, help="of memory, such as 4GB; by default the usual one")
    parser.add_argument("--tile", type=sizes, help="input voxels of every tile, such as 'x=132 y=132 z=116'")
    parser.add_argument("--filters", type=int, default=FILTERS)
    parser.add_argument("--bare", action="store_true", help="only the network: nothing is read, no labels made")
    parser.add_argument("--scratch", type=Path, help="a folder: volume and labels lie in files there")
    parser.add_argument("--tiles", type=int, help="compute that many tiles only and extrapolate the rest")
    arguments = parser.parse_args()
    job = read_job(arguments)
    geometry = Geometry(arguments.padding)
    size = NetworkSize(geometry, arguments.filters, CHANNELS, CLASSES)
    predictor = NetworkPredictor(network(size), geometry, precision=job.precision)
    compile_steps(predictor, geometry)
    with volume_of(job.volume, arguments.scratch) as volume:
        tiles = plan_of(arguments, job.volume, Demand(size, job.precision))
        start = time.perf_counter()
        if arguments.bare:
            bare(predictor, tiles)
        else:
            labels = labels_of(job.volume, arguments.scratch)
            done = dict.fromkeys(range(arguments.tiles or len(tiles), len(tiles)), 10**9)
            TileWork(volume, tiles, INTENSITY, Results(labels), lambda *_: None, done).run([predictor])
        seconds = (time.perf_counter() - start) * len(tiles) / (arguments.tiles or len(tiles))
    measured = {
        "volume": named(job.volume),
        "tiles": len(tiles),
        "tile": named(tiles.tile),
        "slab": tiles.slab,
        "precision": job.precision,
        "seconds": round(seconds, 3),
        "extrapolated": bool(arguments.tiles),
        "voxels_per_second": round(float(np.prod(job.volume)) / seconds, 1),
        "flop_per_second": round(len(tiles) * float(size.flop(tiles.tile)) / seconds),
        "peak_rss_bytes": peak_resident_bytes(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    settings = {"padding": arguments.padding, "filters": arguments.filters, "budget": arguments.budget}
    report("ours", {"tensorflow": tf.__version__, "keras": keras.__version__}, settings, measured)


def network(size: NetworkSize) -> keras.Model:
    """The network as a model serves it: normalisation is folded into its convolutions."""
    return build_unet3d(
        (None, None, None, size.channels),
        size.classes,
        filters=size.filters,
        padding=size.geometry.padding,
        normalization=None,
        seed=0,
    )


def compile_steps(predictor: NetworkPredictor, geometry: Geometry) -> None:
    """Warm up on a tile that is small enough not to count in the peak of memory."""
    stream, slab = predictor.start(INTENSITY), geometry.coarsest
    length = max(axis.minimum for axis in geometry.axes) + 2 * slab
    planes = np.zeros((slab, length, length, CHANNELS), np.float32)
    for z in range(0, length, slab):
        stream.push(planes[: length - z], last=z + slab >= length)


def volume_of(shape: tuple[int, int, int], scratch: Path | None) -> Any:
    """Noise in memory, or in a file."""
    generator = np.random.default_rng(0)
    if scratch is None:
        from contextlib import nullcontext

        return nullcontext(generator.standard_normal((*shape, CHANNELS), np.float32))
    file = scratch / "benchmark_volume.raw"
    file.unlink(missing_ok=True)  # of another size
    volume = ScratchVoxels(file, (*shape, CHANNELS), np.float32)
    plane = generator.standard_normal((1, *shape[1:], CHANNELS), np.float32)
    for z in range(shape[0]):
        volume.write(Box.at((z, 0, 0), (1, *shape[1:])), np.roll(plane, z, axis=1))
    return volume


def labels_of(shape: tuple[int, int, int], scratch: Path | None) -> Any:
    """Where they are written: in memory, or in a file."""
    if scratch is None:
        return HeldVoxels(np.empty(shape, np.uint8))
    (scratch / "benchmark_labels.raw").unlink(missing_ok=True)
    return ScratchVoxels(scratch / "benchmark_labels.raw", shape, np.uint8)


def plan_of(arguments: argparse.Namespace, shape: tuple[int, int, int], demand: Demand) -> TilePlan:
    if arguments.tile:
        z, y, x = map(axis_tiling, shape, arguments.tile, demand.size.geometry.axes)
        return TilePlan((z, y, x))
    labels = 0 if arguments.scratch else int(np.prod(shape))
    return make_plan(shape, demand, arguments.budget or default_budget(), held_memory() + labels).tiles


def bare(predictor: NetworkPredictor, tiles: TilePlan) -> None:
    slab = tiles.slab or tiles.tile[0]
    planes = np.random.default_rng(0).standard_normal((slab, *tiles.tile[1:], CHANNELS), np.float32)
    for _ in range(len(tiles)):
        stream = predictor.start(INTENSITY)
        for z in range(0, tiles.tile[0], slab):
            stream.push(planes[: tiles.tile[0] - z], last=z + slab >= tiles.tile[0])


if __name__ == "__main__":
    main()
