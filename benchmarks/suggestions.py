"""What suggested slices are worth: a volume is annotated slice by slice, as suggested, uniformly, and at random.

    python benchmarks/suggestions.py kidneys --cases kidney_1,kidney_2 --steps 300

Each cell is one `unet3d fit` of one volume of which so many slices are labelled, from the beginning, and the mean IoU
of all classes but the most frequent one, over the voxels that no cell of the case learned from; behind it, the share of
voxels that was labelled. All begin with one slice of each orientation through the middle of the structure; each row has
three slices more. Suggestions are those of `unet3d suggest` by the model of the row above, in any orientation; uniform
slices are spread evenly over the structure along each axis, in equal numbers, as the paper chose its own, for each row
anew; random ones are drawn within the structure, one more along each axis. Where the structure lies, uniform and random
slices know from the truth. The last rows are means over cases and seeds, and by them at how many slices an arm first
reaches what the uniform ones have in the end, between the rows by a straight line. DATASET has dense ``labels/``, or
``truth/``.
"""

import argparse
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import keras_unet3d as unet3d
from keras_unet3d.annotation import AnnotatedSlices, Dataset, read_dataset
from keras_unet3d.annotation.case_reading import read_case
from keras_unet3d.evaluation.protocols import spread_slices, structure
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
    curves = []
    dataset = read_dataset(arguments.dataset)
    for case in arguments.cases.split(","):
        for seed in arguments.seeds:
            told = {"steps": arguments.steps, "network.filters": arguments.filters, "seed": seed, "hold_out": "nothing"}
            with TemporaryDirectory() as scratch:
                annotator = Annotator(dataset, case, unet3d.read_settings(None, told), Path(scratch))
                rows = annotator.rows(arguments.rounds)
            curves.append([[score for score, _ in row] for row in rows])
            for count, row in zip(counts(len(rows)), rows, strict=True):
                cells = [f"{score:.3f} ({share:.1%})" for score, share in row]
                print(f"| {case} | {seed} | {count} | {' | '.join(cells)} |", flush=True)
    sum_up(np.mean(curves, axis=0))


def counts(rounds: int) -> list[int]:
    """Slices that are annotated in each."""
    return [MORE * (number + 1) for number in range(rounds)]


def sum_up(curves: NDArray[np.float64]) -> None:
    """Print means, ``(row, arm)``, and how many slices an arm needs for what the uniform ones have in the end."""
    for count, row in zip(counts(len(curves)), curves, strict=True):
        print(f"| mean | | {count} | {' | '.join(f'{score:.3f}' for score in row)} |")
    goal = curves[-1, ARMS.index("uniform")]
    print(f"| slices for {goal:.3f} | | | {' | '.join(reached(curve, goal) for curve in curves.T)} |")


def reached(curve: NDArray[np.float64], goal: float) -> str:
    """At how many slices a curve first is as high as a goal."""
    number = int(np.argmax(curve >= goal))
    if curve[number] < goal:
        return f"more than {counts(len(curve))[-1]}"
    share = (goal - curve[number - 1]) / (curve[number] - curve[number - 1]) if number else 1.0
    return f"{MORE * (number + share):.1f}"


class Annotator:
    """Paints slices of one volume, and sees what a network learns from them."""

    def __init__(self, dataset: Dataset, case: str, settings: unet3d.Settings, scratch: Path) -> None:
        (files,) = (each for each in dataset.cases if each.name == case)
        image, labels = read_case(dataset, files)  # on the grid that the dataset tells
        if dataset.folder is not None and (truth := [*dataset.folder.glob(f"truth/{case}.*")]):
            labels = unet3d.read_labels(truth[0])
        self.labels = replace(labels, grid=image.grid)
        self.image, self.scratch = scratch / "image.nii.gz", scratch
        unet3d.write_image(self.image, image)
        values, voxels = np.unique(labels.voxels, return_counts=True)
        self.classes = [int(value) for value in values if value != values[voxels.argmax()]]
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)

    def rows(self, rounds: int) -> list[list[tuple[float, float]]]:
        """For each round and arm the IoU, and the share of voxels that was labelled."""
        found = self.rounds(rounds)
        shape = self.labels.voxels.shape
        learned = reduce(or_, (slices for each in found for slices, _ in each.values()))
        unseen = ~learned.mask(shape)
        return [
            [(self.score(labels, unseen), float(slices.mask(shape).mean())) for slices, labels in each.values()]
            for each in found
        ]

    def rounds(self, rounds: int) -> list[dict[str, tuple[AnnotatedSlices, NDArray[Any]]]]:
        """For each, by arm: the slices, and the label of every voxel by what learned from them."""
        slices = dict.fromkeys(ARMS, self.uniform(1))
        found = []
        for number in range(rounds):
            results = {}
            for arm in ARMS:
                folder = self.scratch / f"{number}_{arm}"
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
        """One more slice along each axis, anywhere in the structure."""
        places = structure(self.labels.voxels.astype(np.int16))
        others = [sorted(set(inside) - set(known)) for inside, known in zip(places, slices.per_axis, strict=True)]
        z, y, x = ((int(self.rng.choice(each)),) for each in others)
        return slices | AnnotatedSlices(z, y, x)


if __name__ == "__main__":
    main()
