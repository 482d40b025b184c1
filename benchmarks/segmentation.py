"""Segmentation beside its peers, in one run.

    python benchmarks/segmentation.py speed --peers-python .venv-bench/bin/python

Every row is a process of its own, so that its peak memory is its own. Tables are Markdown.

- speed: volumes in memory to labels in memory, against MONAI's and medicai's sliding windows and the paper's tiles.
- memory: measured peak against the budget.
- growth: time and memory per voxel from 64³ to 1024³ voxels.
- command: `unet3d segment` from file to file against the bare forward pass of the same tiles.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
GB = 1e9
LARGEST_WHOLE = 512
"""Of the growth table, voxels an axis: of larger volumes two tiles are computed, and the rest is extrapolated."""
WINDOWS = ["x=128 y=128 z=64", "x=96 y=96 z=96", "x=128 y=128 z=128"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("speed", "memory", "growth", "command"))
    parser.add_argument("--peers-python", default=sys.executable, help="has the extra [bench]")
    parser.add_argument("--volume", default="x=248 y=244 z=64")
    parser.add_argument("--windows", type=int, default=2, help="that a peer evaluates; the rest is extrapolated")
    parser.add_argument("--repeats", type=int, default=1, help="of each row; the median is shown")
    parser.add_argument("--monai-windows", nargs="*", default=WINDOWS)
    parser.add_argument("--overlaps", nargs="*", default=["0.25", "0.5"], help="of MONAI's windows")
    parser.add_argument("--grown", help="a window of MONAI that takes as much memory as we do: 'x=248 y=248 z=64'")
    parser.add_argument("--medicai", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--ours", choices=("all", "default"), default="all", help="default: without other budgets")
    parser.add_argument("--largest", type=int, default=512, help="of the growth table, voxels an axis")
    arguments = parser.parse_args()
    {"speed": speed, "memory": memory, "growth": growth, "command": command}[arguments.table](arguments)


def speed(arguments: argparse.Namespace) -> None:
    columns = ("", "precision", "s", "thousand voxels/s", "peak GB", "faster than MONAI", "faster than MONAI float32")
    print(f"\n{arguments.volume}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    monai: dict[str, dict[str, Any]] = {}  # the fastest of its windows, by precision
    for precision in ("float32", "bfloat16"):
        for window in arguments.monai_windows:
            for overlap in arguments.overlaps:
                found = peer(arguments, "monai", window, overlap, precision)
                if precision not in monai or found["seconds"] < monai[precision]["seconds"]:
                    monai[precision] = found
                print_speed(f"MONAI, {window}, overlap {overlap}", found, monai)
        if arguments.grown:
            found = peer(arguments, "monai", arguments.grown, "0.25", precision)
            print_speed(f"MONAI, {arguments.grown}, overlap 0.25", found, monai)
        if arguments.medicai:
            found = peer(arguments, "medicai", WINDOWS[0], "0.25", precision)
            print_speed(f"medicai, {WINDOWS[0]}, overlap 0.25", found, monai)
        rows = [("unpadded", []), ("zero-padded", ["--padding", "same"])]
        if precision in monai:
            peak = max(2 * GB, monai[precision]["peak_rss_bytes"])
            rows.append((f"unpadded, with {peak / GB:.1f} GB", ["--budget", f"{peak / 1e6:.0f}MB"]))
        rows.append(("unpadded, tiles of the paper's size", ["--tile", "x=132 y=132 z=116", "--tiles", "3"]))
        for name, options in rows if arguments.ours == "all" else rows[:2]:
            call = ["--volume", arguments.volume, "--precision", precision, *options]
            print_speed(f"ours, {name}", median(arguments.repeats, sys.executable, "ours.py", call), monai)
    print(f"\n\\* extrapolated from {arguments.windows} windows, or 3 tiles.")


def peer(arguments: argparse.Namespace, name: str, window: str, overlap: str, precision: str) -> dict[str, Any]:
    options = ["--volume", arguments.volume, "--precision", precision, "--window", window, "--overlap", overlap]
    options += ["--windows", str(arguments.windows)]
    return median(arguments.repeats, arguments.peers_python, f"{name}_window.py", options)


def print_speed(name: str, found: dict[str, Any], monai: dict[str, dict[str, Any]]) -> None:
    """One row, beside the fastest of MONAI's so far."""
    ratios = [
        f"{monai[precision]['seconds'] / found['seconds']:.2f}" if precision in monai else ""
        for precision in (found["precision"], "float32")
    ]
    cells = (
        name,
        found["precision"],
        f"{found['seconds']:.1f}{'*' if found['extrapolated'] else ''}",
        f"{found['voxels_per_second'] / 1e3:.1f}",
        f"{found['peak_rss_bytes'] / GB:.2f}",
        *ratios,
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def memory(arguments: argparse.Namespace) -> None:
    print("| volume | precision | budget GB | peak GB | tiles | planes at a time | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for precision in ("float32", "bfloat16"):
        for budget in (2, 4, 8, 16):
            options = ["--volume", arguments.volume, "--precision", precision, "--budget", f"{budget}GB"]
            found = median(1, sys.executable, "ours.py", options)
            print(
                f"| {found['volume']} | {precision} | {budget} | {found['peak_rss_bytes'] / GB:.2f} | "
                f"{found['tiles']} | {found['slab']} | {found['seconds']:.1f} |",
                flush=True,
            )


def growth(arguments: argparse.Namespace) -> None:
    print("| voxels | tiles | planes at a time | µs per voxel | peak GB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        length = 64
        while length <= arguments.largest:
            sizes = f"x={length} y={length} z={length}"
            options = ["--volume", sizes, "--filters", "4", "--budget", "2GB", "--padding", "same", "--scratch", folder]
            options += ["--tiles", "2"] if length > LARGEST_WHOLE else []
            found = median(1, sys.executable, "ours.py", options)
            rate = f"{1e6 / found['voxels_per_second']:.2f}{'*' if found['extrapolated'] else ''}"
            print(
                f"| {length}³ | {found['tiles']} | {found['slab']} | {rate} | {found['peak_rss_bytes'] / GB:.2f} |",
                flush=True,
            )
            length *= 2


def command(arguments: argparse.Namespace) -> None:
    from keras_unet3d.volumes.axes import parse_named

    shape = tuple(int(size) for size in parse_named(arguments.volume, minimum=1))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        image, model = Path(folder, "image.nii"), Path(folder, "model")
        subprocess.run([sys.executable, HERE / "peers" / "make_model.py", image, model, *map(str, shape)], check=True)
        print("| precision | command s | of that before the first plane | bare forward pass s | share |")
        print("| --- | --- | --- | --- | --- |")
        for precision in ("float32", "bfloat16"):
            start = time.perf_counter()
            call = [Path(sys.executable).parent / "unet3d", "segment", image, Path(folder, "labels.nii.gz")]
            done = subprocess.run(
                [*call, "--model", model, "--precision", precision, "--json"],
                check=True,
                capture_output=True,
                text=True,
            )
            whole = time.perf_counter() - start
            told = json.loads(done.stdout)["segmented"][0]
            options = ["--volume", arguments.volume, "--precision", precision, "--bare"]
            forward = median(1, sys.executable, "ours.py", options)["seconds"]
            begun = whole - told["seconds"]
            print(f"| {precision} | {whole:.1f} | {begun:.1f} | {forward:.1f} | {forward / whole:.0%} |", flush=True)


def median(repeats: int, python: str, script: str, options: list[str]) -> dict[str, Any]:
    """Run a row; that with the median time of several."""
    found = []
    for _ in range(repeats):
        done = subprocess.run([python, HERE / "peers" / script, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{script} {' '.join(options)}: {done.stderr.strip().splitlines()[-1]}")
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    order = np.argsort([each["seconds"] for each in found])
    middle: dict[str, Any] = found[int(order[len(order) // 2])]
    return middle


if __name__ == "__main__":
    main()
