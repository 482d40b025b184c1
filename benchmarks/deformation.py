"""One augmented tile of the paper's size: seconds in a single call, and tiles per second on all cores.

    python benchmarks/deformation.py [--tiles 6] [--peers-python ../peers/bin/python]

Both engines resample the same maps (elastic deformation, rotation, scaling) of three channels and labels, reading
included; what they return is compared in the same run. The peers, in an environment of their own, deform a tile of the
same size that they hold already.
"""

import argparse
import json
import os
import platform
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from keras_unet3d.augmentation.compiled import (
    ResamplingInputs,
    Room,
    resample_block,
    resampling_inputs,
    resampling_inputs_spec,
)
from keras_unet3d.augmentation.engines import choose_engine
from keras_unet3d.augmentation.parameters import draw_map, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.box import Box

SHAPE, TILE = (64, 244, 248), (116, 132, 132)  # the paper's first volume and its tile, z, y, x
CHANNELS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiles", type=int, default=6, help="tiles for each figure")
    parser.add_argument("--peers-python", help="has the extra [bench]")
    arguments = parser.parse_args()
    tiles = arguments.tiles
    rng = np.random.default_rng(0)
    image = rng.standard_normal((*SHAPE, CHANNELS), dtype=np.float32)
    labels = rng.integers(-1, 3, SHAPE).astype(np.int16)
    box = Box.at((-26, 50, 60), TILE)
    maps = [
        draw_map(AugmentationSettings(), sample_generator(0, step, 0), box, (2.04, 1.76, 1.76)) for step in range(tiles)
    ]
    room = Room()
    for each in maps:  # as the pipeline does it: the room of the largest, so that XLA compiles once
        room = Room(*map(max, zip(astuple(room), astuple(Room.needed(each, box)), strict=True)))
    specs = resampling_inputs_spec(TILE, CHANNELS)
    loop = tf.function(
        lambda *arrays: resample_block(ResamplingInputs(*arrays), Box.at((0, 0, 0), TILE)),
        jit_compile=True,
        autograph=False,
    )

    @tf.function(autograph=False)
    def sample(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As the pipeline does it: NumPy reads, and TensorFlow takes its arrays as they lie."""
        arrays = tf.numpy_function(
            lambda each: list(resampling_inputs(maps[each], image, labels, box, room)),
            [number],
            [tf.as_dtype(dtype) for _, dtype in specs],
        )
        return loop(*(tf.ensure_shape(array, shape) for array, (shape, _) in zip(arrays, specs, strict=True)))

    elastic = choose_engine("elasticdeform")

    def compiled(number: int) -> tuple[np.ndarray, np.ndarray]:
        tile, classes = sample(tf.constant(number))
        return tile.numpy(), classes.numpy()

    def elasticdeform(number: int) -> tuple[np.ndarray, np.ndarray]:
        return elastic.resample(image, labels, maps[number], box)

    print(f"{platform.machine()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}\n")
    print(
        "| | one call, s | tiles/s, all cores | we are faster: one call | all cores |\n| --- | --- | --- | --- | --- |"
    )
    ours = None
    for name, engine in (("compiled", compiled), (f"elasticdeform {version('elasticdeform')}", elasticdeform)):
        engine(0), engine(1)  # trace and warm up
        seconds = []
        for number in range(tiles):
            start = time.perf_counter()
            engine(number)
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(engine, [number % tiles for number in range(3 * tiles)]))
        found = float(np.median(seconds)), 3 * tiles / (time.perf_counter() - start)
        ours = ours or found
        print_row(name, found, ours)
    if arguments.peers_python:
        script = Path(__file__).parent / "peers" / "deformations.py"
        done = subprocess.run(
            [arguments.peers_python, script, "--tiles", str(tiles)], stdout=subprocess.PIPE, text=True, check=True
        )
        for line in done.stdout.splitlines():
            peer = json.loads(line)
            print_row(peer["name"], (peer["seconds"], peer["rate"]), ours)
    (tile, classes), (other, other_classes) = compiled(0), elasticdeform(0)
    difference, equal = np.abs(tile - other).max() / np.ptp(image), np.mean(classes == other_classes)
    print(f"\nLargest difference: {difference:.1e} of the range; labels equal on {equal:.4%}")


def print_row(name: str, found: tuple[float, float], ours: tuple[float, float]) -> None:
    one, rate = found
    print(f"| {name} | {one:.3f} | {rate:.2f} | {one / ours[0]:.1f} | {ours[1] / rate:.1f} |", flush=True)


if __name__ == "__main__":
    main()
