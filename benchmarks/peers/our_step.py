"""Training steps of the paper's network on the paper's tile, as `unet3d fit` takes them.

    python benchmarks/peers/our_step.py --precision bfloat16 --steps 3

Prints one line of JSON. `--normalization none` shows what batch normalisation costs; `--data` takes the tiles from the
pipeline, augmented, and says how long the steps waited for them; `--augment-on device` makes their images in the step.
"""

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from measurement import CHANNELS, CLASSES, FILTERS, TILE, report, step_parser, step_report, tile_of
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_unet3d.training.model import build_network
from keras_unet3d.training.normalization import for_training
from keras_unet3d.training.pipeline import TrainingBatches
from keras_unet3d.training.resolved import ResolvedSettings, resolved
from keras_unet3d.training.runtime import prepare_runtime
from keras_unet3d.training.sampling import TrainingVolume
from keras_unet3d.training.settings import read_settings
from keras_unet3d.training.step import TrainingStep, build_optimizer


def main() -> None:
    parser = step_parser(__doc__)
    parser.add_argument("--normalization", choices=("batch", "none"), default="batch")
    parser.add_argument("--data", action="store_true")
    parser.add_argument("--augment-on", choices=("cpu", "device"), default="cpu")
    parser.add_argument("--recompute", action="store_true")
    arguments = parser.parse_args()
    prepare_runtime()
    settings = settings_of(arguments.precision, arguments.normalization)
    model = for_training(build_network(settings, CHANNELS, CLASSES, settings.precision))
    step = TrainingStep(
        model,
        build_optimizer(settings.optimizer, settings.precision),
        settings.loss.dice,
        settings.optimizer.clip_norm,
        recompute=arguments.recompute,
    )
    seconds, waits = [], []
    with ExitStack() as opened:
        tiles = itertools.repeat(tuple(map(tf.constant, tile_of())))
        if arguments.data:
            on_device = arguments.augment_on == "device"
            batches = TrainingBatches(settings, [noise()], [1.0] * CLASSES, on_device=on_device)
            tiles = opened.enter_context(batches)
        for _ in range(arguments.steps + 1):
            start = time.perf_counter()
            batch = next(tiles)
            waits.append(time.perf_counter() - start)
            float(step(batch, 1e-3).loss)
            seconds.append(time.perf_counter() - start)
        measured = step_report(arguments, float(np.median(seconds[1:])))
        measured["convolutions"] = round(share_of_convolutions(step, next(tiles)), 3)
    if arguments.data:
        measured["waiting"] = round(sum(waits[1:]) / sum(seconds[1:]), 4)
    report("ours", {"tensorflow": tf.__version__, "keras": keras.__version__}, {}, measured)


def share_of_convolutions(step: TrainingStep, batch: Sequence[Any]) -> float:
    """Of the time in operations, which follow one another, by TensorFlow's profiler."""
    with TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            float(step(batch, 1e-3).loss)
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    spent: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                # An operation is called "name in the graph:type", what calls it and its threads otherwise.
                name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if kind.isidentifier() and name and not name.endswith(":"):
                    spent[kind] += event.duration_ps
    return sum(spent[kind] for kind in spent if "Conv3D" in kind) / spent.total()


def settings_of(precision: str, normalization: str) -> ResolvedSettings:
    z, y, x = TILE
    settings = read_settings(
        None,
        {
            "steps": 1,
            "tile": f"x={x} y={y} z={z}",
            "first_tile": f"x={x} y={y} z={z}",
            "recompute": False,
            "sampling": "classes",
            "batch_size": 1,
            "precision": "mixed_bfloat16" if precision == "bfloat16" else precision,
            "network.filters": FILTERS,
            "network.depth": 3,
            "network.padding": "valid",
            "network.unpooled": "x=0 y=0 z=0",
            "network.normalization": normalization,
            "optimizer.name": "sgd",
            "optimizer.schedule": "polynomial",
            "optimizer.momentum": 0.9,
            "optimizer.learning_rate": 1e-3,
            "loss.dice": 1.0,
            "loss.class_weights": "equal",
        },
    )
    return resolved(settings)


def noise() -> TrainingVolume:
    """As large as the paper's first volume."""
    rng = np.random.default_rng(0)
    shape = (64, 244, 248)
    class_index = rng.integers(-1, CLASSES, shape).astype(np.int16)
    return TrainingVolume("noise", rng.standard_normal((*shape, CHANNELS), np.float32), class_index, (2.04, 1.76, 1.76))


if __name__ == "__main__":
    main()
