"""Distances between borders: the time of a case of x=256 y=256 z=64 with two classes, and what each tool says of it.

    python benchmarks/metrics.py [--peers-python ../peers/bin/python]

The truth is the synthetic kidney, whose lumen and walls are measured; the prediction is the truth, moved by a voxel
along y and two along x, and with holes of a few voxels. Each tool gives HD, HD95, ASSD and the
surface Dice within 2 µm of both classes, from class indices in memory; ours gives the measures of overlap as well.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from keras_unet3d.metrics import Overlap, Ruler, Surfaces
from keras_unet3d.phantom import kidney
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.length import Length

SHAPE = (64, 256, 256)  # z, y, x
CLASSES, BACKGROUND, TOLERANCE = 3, 2, 2.0  # µm
COLUMNS = ("hausdorff", "hausdorff_95", "assd", "surface_dice")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peers-python", help="the interpreter of an environment with the peers")
    parser.add_argument("--repeats", type=int, default=3, help="whose median counts")
    arguments = parser.parse_args()
    phantom = kidney(SHAPE)
    truth = phantom.truth.astype(np.int16)
    prediction = ndimage.shift(truth, (0, 1, 2), order=0, mode="nearest")
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 2)
    prediction[noise > 2.5 * noise.std()] = BACKGROUND
    ruler = Ruler.of([phantom.grid], Length(TOLERANCE))

    surfaces = Surfaces.of(truth, prediction, CLASSES, ruler, BACKGROUND)
    borders = " / ".join(f"{each.from_truth.size:,}" for each in surfaces.distances if each)
    print(f"{named(SHAPE)}, {platform.machine()}, {os.cpu_count()} cores; lumen / wall, {borders} border voxels\n")
    print("| | s | ours is faster by | HD, µm | HD95, µm | ASSD, µm | surface Dice |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        Overlap.of(truth, prediction, CLASSES)
        found = [each for each in Surfaces.of(truth, prediction, CLASSES, ruler, BACKGROUND).distances if each]
        values = [[each.hausdorff, each.hausdorff_95, each.assd, each.surface_dice(TOLERANCE)] for each in found]
        seconds.append(time.perf_counter() - start)
    ours = float(np.median(seconds))
    print_row("ours", ours, ours, dict(zip(COLUMNS, zip(*values, strict=True), strict=True)))
    if arguments.peers_python:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "case.npz"
            np.savez(file, truth=truth, prediction=prediction, spacing=phantom.grid.spacing, tolerance=TOLERANCE)
            script = Path(__file__).parent / "peers" / "surface_metrics.py"
            command = [arguments.peers_python, script, file, "--repeats", str(arguments.repeats)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            peer = json.loads(line)
            print_row(peer["name"], peer["seconds"], ours, peer["values"])


def print_row(name: str, seconds: float, ours: float, values: dict[str, tuple[float, ...]]) -> None:
    cells = (" / ".join(f"{value:.4f}" for value in values[column]) if column in values else "" for column in COLUMNS)
    print(f"| {name} | {seconds:.2f} | {seconds / ours:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
