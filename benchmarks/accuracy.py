r"""What a setting is worth: the same time to train for each variant, scored on cases that none of them saw.

    python benchmarks/accuracy.py hippocampus --folds hippocampus/nnunet_dice.csv --learn 0,1 --score 2 --cases 20 \
        --minutes 4 --variant '' --variant 'augmentation.displacement_sigma=2'

DATASET has ``dataset.json``, ``images/`` and ``labels/``; the table of folds has the columns ``case`` and ``fold``, and
perhaps another tool's score of each case. A variant is what `unet3d fit --set` takes, several with blanks between; the
empty one is the defaults; one with ``steps=`` takes so many. Each is one `unet3d fit`, nothing repeated. `--slices
1,1,1` keeps the labels of so many slices orthogonal to x, y and z and takes the others away.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import keras_unet3d as unet3d

UNLABELLED = 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--folds", type=Path, required=True, help="table with the columns case and fold")
    parser.add_argument("--learn", required=True, help="folds to learn from, such as 0,1")
    parser.add_argument("--score", required=True, help="folds to score on")
    parser.add_argument("--cases", type=int, help="score so many of them only, evenly chosen")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--slices", help="annotated slices kept of each case that is learned from: yz,xz,xy")
    parser.add_argument("--variant", action="append", help="such as 'loss.dice=0 seed=1'")
    arguments = parser.parse_args()
    with arguments.folds.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    learned, scored = (
        [row for row in rows if row["fold"] in named.split(",")] for named in (arguments.learn, arguments.score)
    )
    if arguments.cases:
        scored = [scored[int(at)] for at in np.linspace(0, len(scored) - 1, arguments.cases)]
    with TemporaryDirectory() as scratch:
        part = Path(scratch) / "part"
        classes = make_part(arguments.dataset, [row["case"] for row in learned], part, arguments.slices)
        names = [name for value, name in classes.items() if value]
        print(f"| settings | steps | {' | '.join(names)} | mean Dice | over cases |")
        print(f"| --- | {'--- | ' * (len(names) + 3)}")
        for number, variant in enumerate(arguments.variant or [""]):
            steps, model = trained(part, Path(scratch) / str(number), variant, arguments.minutes)
            show(variant or "defaults", steps, dice(arguments.dataset, [row["case"] for row in scored], model, classes))
    (other, *_) = [name for name in rows[0] if name not in ("case", "fold")] or [None]
    if other:
        print(f"\n{other} on these cases: {np.mean([float(row[other]) for row in scored]):.3f}")


def make_part(dataset: Path, cases: list[str], part: Path, slices: str | None) -> dict[int, str]:
    """A dataset of some cases, with all of their labels or some slices of them; returns the classes by value."""
    told = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    classes = {int(value): name for value, name in told["labels"].items()}
    for folder in ("images", "labels"):
        (part / folder).mkdir(parents=True)
        for case in cases:
            (source,) = dataset.resolve().glob(f"{folder}/{case}.*")
            if folder == "labels" and slices:
                keep_slices(source, part / folder / source.name, [int(count) for count in slices.split(",")])
            else:
                (part / folder / source.name).symlink_to(source)
    if slices:
        told["labels"][str(UNLABELLED)] = "unlabeled"
    told = {name: value for name, value in told.items() if name not in ("training", "test", "numTraining", "numTest")}
    (part / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    return classes


def keep_slices(source: Path, target: Path, counts: list[int]) -> None:
    """Write the labels of so many slices orthogonal to x, y and z; the others become unlabelled.

    They cut what is not background, as an annotator's do: evenly spread over it, the first anywhere in the first part.
    """
    labels = unet3d.read_labels(source)
    rng = np.random.default_rng(list(source.name.encode()))
    kept = np.full_like(labels.voxels, UNLABELLED, np.uint8)
    for axis, count in enumerate(reversed(counts)):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(labels.voxels.any(axis=others))
        at = inside[((np.arange(count) + rng.random()) * len(inside) / max(count, 1)).astype(int)]
        np.moveaxis(kept, axis, 0)[at] = np.moveaxis(labels.voxels, axis, 0)[at]
    unet3d.write_labels(target, replace(labels, voxels=kept))


def trained(part: Path, where: Path, variant: str, minutes: float) -> tuple[int, Path]:
    command = [Path(sys.executable).with_name("unet3d"), "fit", part, "--json"]
    settings = shlex.split(variant)
    if not any(assigned.startswith("steps=") for assigned in settings):
        command += ["--minutes", minutes]
    for assigned in settings:
        command += ["--set", assigned]
    command += ["--models", where / "models", "--runs", where / "runs"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found["steps"], Path(found["model"])


def dice(dataset: Path, cases: list[str], model: Path, classes: dict[int, str]) -> np.ndarray:
    """Of each case, ``(case, class)``, background left out."""
    loaded = unet3d.load_model(model)
    scores = []
    for case in cases:
        (image,), (labels,) = (list(dataset.glob(f"{folder}/{case}.*")) for folder in ("images", "labels"))
        found, truth = unet3d.segment(image, model=loaded).labels.voxels, unet3d.read_labels(labels).voxels
        both = [(found == value, truth == value) for value in classes if value]
        scores.append([2 * np.count_nonzero(a & b) / max(a.sum() + b.sum(), 1) for a, b in both])
    return np.array(scores)


def show(name: str, steps: int, scores: np.ndarray) -> None:
    each = " | ".join(f"{score:.3f}" for score in scores.mean(axis=0))
    spread = f"±{scores.mean(axis=1).std():.3f}, lowest {scores.mean(axis=1).min():.3f}"
    print(f"| {name} | {steps} | {each} | {scores.mean():.3f} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
