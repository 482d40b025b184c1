"""A training step of the paper's network on the paper's tile, beside PyTorch's, in one run.

    python benchmarks/training.py step --peers-python ../peers/bin/python
    python benchmarks/training.py tiles

- step: seconds, the rate over three times the forward work beside that of a plain convolution, and peak memory; every
  row is a process of its own. The last rows take their tiles from the pipeline, augmented.
- tiles: labelled voxels that are trained on for the same work, for the paper's annotation and for sparser ones: uniform
  random tiles, ours of the paper's size, and ours of the shape that `unet3d fit` chooses.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
GB = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("step", "tiles"))
    parser.add_argument("--peers-python", default=sys.executable, help="has the extra [bench]")
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    {"step": step, "tiles": tiles}[arguments.table](arguments)


def step(arguments: argparse.Namespace) -> None:
    print("| | precision | s | of the convolution rate | faster than PyTorch | peak GB | in convolutions | waiting |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for precision in ("float32", "bfloat16"):
        rate = convolution_rate(precision)
        print(f"| one convolution, 64 to 64 channels | {precision} | | {rate / 1e9:.0f} GFLOP/s | | | | |")
        rows = [
            ("PyTorch, channels_last_3d", arguments.peers_python, "torch_step.py", []),
            ("ours", sys.executable, "our_step.py", []),
            ("ours, without normalisation", sys.executable, "our_step.py", ["--normalization", "none"]),
            ("ours, levels computed twice", sys.executable, "our_step.py", ["--recompute"]),
            ("ours, with the pipeline", sys.executable, "our_step.py", ["--data"]),
            ("ours, augmented in the step", sys.executable, "our_step.py", ["--data", "--augment-on", "device"]),
        ]
        peer = None
        for name, python, script, options in rows:
            found = run(python, script, ["--precision", precision, "--steps", str(arguments.steps), *options])
            peer = peer or found["seconds"]
            waiting = f"{found['waiting']:.1%}" if "waiting" in found else ""
            convolutions = f"{found['convolutions']:.0%}" if "convolutions" in found else ""
            print(
                f"| {name} | {precision} | {found['seconds']:.2f} | {found['flop_per_second'] / rate:.0%} | "
                f"{peer / found['seconds']:.2f} | {found['peak_rss_bytes'] / GB:.2f} | {convolutions} | {waiting} |",
                flush=True,
            )


def convolution_rate(precision: str) -> float:
    """FLOP a second of a convolution in the shape that most of the network's work has."""
    import tensorflow as tf

    dtype = tf.as_dtype(precision)
    image = tf.cast(tf.random.normal((1, 32, 128, 128, 64)), dtype)
    kernel = tf.cast(tf.random.normal((3, 3, 3, 64, 64)), dtype)
    convolution = tf.function(lambda: tf.nn.conv3d(image, kernel, [1] * 5, "VALID"))
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        convolution()
        seconds.append(time.perf_counter() - start)
    return 2 * 27 * 64 * 64 * 30 * 126 * 126 / min(seconds[1:])


def run(python: str, script: str, options: list[str]) -> dict[str, Any]:
    done = subprocess.run([python, HERE / "peers" / script, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script} {' '.join(options)}: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def tiles(_arguments: argparse.Namespace) -> None:
    from keras_unet3d.network.sizes import Geometry
    from keras_unet3d.network.work import NetworkSize
    from keras_unet3d.training.sampling import TrainingVolume
    from keras_unet3d.training.tile_choice import PAPER_TILE, choose_tile, labelled_voxels

    shape, spacing = (64, 244, 248), (2.04, 1.76, 1.76)
    size = NetworkSize(Geometry(), 32, 3, 3)
    print("| annotated slices (yz, xz, xy) | tiles | tile | labelled voxels a tile | for the same work |")
    print("| --- | --- | --- | --- | --- |")
    for counts in ((7, 5, 21), (1, 1, 1), (0, 0, 5)):
        class_index = np.full(shape, -1, np.int16)
        for axis, (count, length) in enumerate(zip(reversed(counts), shape, strict=True)):
            at = np.linspace(0, length - 1, count + 2)[1:-1].astype(int)
            np.moveaxis(class_index, axis, 0)[at] = 0
        volume = TrainingVolume("paper", np.zeros((1, 1, 1, 3), np.float32), class_index, spacing)
        choice = choose_tile([volume], spacing, size)
        rows = {
            "anywhere, uniformly": (PAPER_TILE, uniform(class_index, np.array(PAPER_TILE) - 88)),
            "around labels": (PAPER_TILE, labelled_voxels([volume], np.array([PAPER_TILE]) - 88)[0]),
            "around labels, in the shape that is chosen": (choice.tile, choice.labelled),
        }
        first = None
        for name, (tile, labelled) in rows.items():
            rate = float(labelled) / float(size.flop(tile))
            first = first or rate
            z, y, x = tile
            print(f"| {counts} | {name} | x={x} y={y} z={z} | {labelled:,.0f} | {rate / first:.2f} |")


def uniform(class_index: np.ndarray, tile: np.ndarray, draws: int = 2000) -> float:
    """Labelled voxels in tiles that lie anywhere in the volume."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, np.array(class_index.shape) - tile + 1, (draws, 3))
    boxes = (tuple(slice(at, at + edge) for at, edge in zip(start, tile, strict=True)) for start in starts)
    return float(np.mean([np.count_nonzero(class_index[box] >= 0) for box in boxes]))


if __name__ == "__main__":
    main()
