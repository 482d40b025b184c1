"""One augmented tile of the paper's size, by both engines: seconds in a single call, and tiles per second on all cores.

    python benchmarks/deformation.py [--tiles 6]

Both resample the same maps (elastic deformation, rotation, scaling) of three channels and labels; what they return is
compared in the same run.
"""

import argparse
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from keras_unet3d.augmentation.compiled import ResamplingInputs, resample_block, resampling_inputs
from keras_unet3d.augmentation.engines import choose_engine
from keras_unet3d.augmentation.parameters import draw_map, sample_generator
from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.volumes.box import Box

SHAPE, TILE = (64, 244, 248), (116, 132, 132)  # the paper's first volume and its tile, z, y, x
CHANNELS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiles", type=int, default=6, help="tiles for each figure")
    tiles = parser.parse_args().tiles
    rng = np.random.default_rng(0)
    image = rng.standard_normal((*SHAPE, CHANNELS), dtype=np.float32)
    labels = rng.integers(-1, 3, SHAPE).astype(np.int16)
    box = Box.at((-26, 50, 60), TILE)
    maps = [
        draw_map(AugmentationSettings(), sample_generator(0, step, 0), box, (2.04, 1.76, 1.76)) for step in range(tiles)
    ]
    graph = tf.function(
        lambda *arrays: resample_block(ResamplingInputs(*arrays), Box.at((0, 0, 0), TILE)), reduce_retracing=True
    )
    elastic = choose_engine("elasticdeform")

    def compiled(number: int) -> tuple[np.ndarray, np.ndarray]:
        tile, classes = graph(*map(tf.constant, resampling_inputs(maps[number], image, labels, box)))
        return tile.numpy(), classes.numpy()

    def elasticdeform(number: int) -> tuple[np.ndarray, np.ndarray]:
        return elastic.resample(image, labels, maps[number], box)

    print(f"{platform.machine()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}")
    print(f"{'':32}{'one call, s':>14}{'tiles/s, all cores':>22}")
    rates = {}
    for name, engine in (("compiled", compiled), (f"{elastic.name} {version('elasticdeform')}", elasticdeform)):
        engine(0), engine(1)  # trace and warm up
        seconds = []
        for number in range(tiles):
            start = time.perf_counter()
            engine(number)
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(engine, range(tiles)))
        rates[name] = (float(np.median(seconds)), tiles / (time.perf_counter() - start))
        print(f"{name:32}{rates[name][0]:14.3f}{rates[name][1]:22.2f}")
    (one, many), (other_one, other_many) = rates.values()
    print(f"{'compiled is faster by':32}{other_one / one:14.1f}{many / other_many:22.1f}")
    (tile, classes), (other, other_classes) = compiled(0), elasticdeform(0)
    difference, equal = np.abs(tile - other).max() / np.ptp(image), np.mean(classes == other_classes)
    print(f"largest difference: {difference:.1e} of the range; labels equal on {equal:.4%}")


if __name__ == "__main__":
    main()
