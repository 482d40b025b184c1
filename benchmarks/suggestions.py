"""What suggested slices are worth: a volume is annotated slice by slice, as suggested, uniformly, and at random.

    python benchmarks/suggestions.py mouse_embryo_nuclei --cases Emb01_t301 --steps 300

Each cell is one `unet3d fit` of one volume of which so many slices are labelled, from the beginning, and the mean IoU
of all classes but the most frequent one, over the voxels that no cell of the case learned from. All begin with one
slice of each orientation through the middle of the structure; each row has three slices more. Suggestions are those
of `unet3d suggest` by the model of the row above; uniform slices are spread evenly over the structure along each
axis, in equal numbers, as the paper chose its own, for each row anew; random ones are drawn along a random axis. The
last row of a case says how many suggested slices reach what the most uniform ones do, between the rows by a straight
line. DATASET has dense ``labels/``, or ``truth/``.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import keras_unet3d as unet3d
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.evaluation.protocols import spread_slices
from keras_unet3d.evaluation.suggestion import as_slices

ARMS = ("suggested", "uniform", "random")
MORE = 3
UNLABELLED = 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cases", required=True, help="names with commas between")
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    parser.add_argument("--filters", type=int, default=8, help="of the network's first level")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of trainings and of random slices")
    arguments = parser.parse_args()
    print(f"| case | seed | slices | {' | '.join(ARMS)} |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in arguments.cases.split(","):
        for seed in arguments.seeds:
            told = {"steps": arguments.steps, "network.filters": arguments.filters, "seed": seed, "hold_out": "nothing"}
            for row in rows(Annotator(arguments.dataset, case, unet3d.read_settings(None, told)), arguments.rounds):
                print(f"| {case} | {seed} | {' | '.join(row)} |", flush=True)


def rows(annotator: "Annotator", rounds: int) -> Iterator[list[str]]:
    """What the rounds came to, and what suggestions save."""
    found = annotator.rounds(rounds)
    learned = reduce(or_, (slices for each in found for slices, _ in each.values()))
    unseen = ~learned.mask(annotator.labels.voxels.shape)
    counts = [MORE * (number + 1) for number in range(rounds)]
    curves = {arm: [annotator.score(each[arm][1], unseen) for each in found] for arm in ARMS}
    for number, count in enumerate(counts):
        yield [str(count), *(f"{curves[arm][number]:.3f}" for arm in ARMS)]
    best = np.maximum.accumulate(curves["suggested"])
    reached = best[-1] >= curves["uniform"][-1]
    needed = f"{np.interp(curves['uniform'][-1], best, counts):.1f}" if reached else f"more than {counts[-1]}"
    yield ["to reach the last uniform one", needed, str(counts[-1]), ""]


class Annotator:
    """Paints slices of one volume, and sees what a network learns from them."""

    def __init__(self, dataset: Path, case: str, settings: unet3d.Settings) -> None:
        (self.image,) = dataset.resolve().glob(f"images/{case}.*")
        (labels,) = [*dataset.resolve().glob(f"truth/{case}.*"), *dataset.resolve().glob(f"labels/{case}.*")][:1]
        self.labels = unet3d.read_labels(labels)
        values, voxels = np.unique(self.labels.voxels, return_counts=True)
        self.classes = [int(value) for value in values if value != values[voxels.argmax()]]
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)

    def rounds(self, rounds: int) -> list[dict[str, tuple[AnnotatedSlices, NDArray[Any]]]]:
        """For each, by arm: the slices, and the label of every voxel by what learned from them."""
        slices = dict.fromkeys(ARMS, self.uniform(1))
        found = []
        with TemporaryDirectory() as scratch:
            for number in range(rounds):
                results = {}
                for arm in ARMS:
                    folder = Path(scratch) / f"{number}_{arm}"
                    if number or arm == ARMS[0]:
                        model, annotation = self.trained(slices[arm], folder)
                        labels = unet3d.segment(self.image, model=model).labels.voxels
                    results[arm] = slices[arm], labels  # the first row is the same for all
                    if arm == "suggested":
                        following = slices[arm] | self.suggested(model, annotation, folder / "next")
                found.append(results)
                slices = {
                    "suggested": following,
                    "uniform": self.uniform(number + 2),
                    "random": self.with_random(slices["random"]),
                }
        return found

    def trained(self, slices: AnnotatedSlices, folder: Path) -> tuple[Path, Path]:
        """A model that learned from some slices, and the file that they are in."""
        folder.mkdir()
        painted = np.where(slices.mask(self.labels.voxels.shape), self.labels.voxels, UNLABELLED).astype(np.uint8)
        annotation = folder / "annotation.nii.gz"
        unet3d.write_labels(annotation, replace(self.labels, voxels=painted))
        files = unet3d.dataset_from_pairs([self.image], [annotation])
        meaning = unet3d.Meaning(unlabeled=UNLABELLED)
        fitted = unet3d.fit(files, self.settings, meaning=meaning, models=folder / "models", runs=folder / "runs")
        if fitted.model is None:
            raise RuntimeError("A training that is not interrupted exports a model.")
        return fitted.model, annotation

    def suggested(self, model: Path, annotation: Path, folder: Path) -> AnnotatedSlices:
        """What the model suggests to annotate next."""
        meaning = unet3d.Meaning(unlabeled=UNLABELLED)
        return as_slices(
            unet3d.suggest(self.image, annotation, folder, model=model, count=MORE, meaning=meaning).slices
        )

    def score(self, found: NDArray[Any], where: NDArray[np.bool_]) -> float:
        """Mean IoU of the classes in some voxels."""
        ious = []
        for value in self.classes:
            predicted, true = (found == value) & where, (self.labels.voxels == value) & where
            ious.append(np.count_nonzero(predicted & true) / max(np.count_nonzero(predicted | true), 1))
        return float(np.mean(ious))

    def uniform(self, each: int) -> AnnotatedSlices:
        """So many slices along each axis."""
        return spread_slices(self.labels.voxels.astype(np.int16), (each, each, each))

    def with_random(self, slices: AnnotatedSlices) -> AnnotatedSlices:
        """Some more slices, anywhere."""
        found = slices
        while len(found) < len(slices) + MORE:
            axis = int(self.rng.integers(3))
            new: list[tuple[int, ...]] = [(), (), ()]
            new[axis] = (int(self.rng.integers(self.labels.voxels.shape[axis])),)
            found |= AnnotatedSlices(*new)
        return found


if __name__ == "__main__":
    main()
