"""What suggested slices are worth: a volume is annotated slice by slice, as suggested, uniformly, and at random.

    python benchmarks/suggestions.py mouse_embryo_nuclei --cases Emb01_t301 --steps 300

Each cell is one `unet3d fit` of one volume of which so many slices are labelled, from the beginning, and the mean IoU,
over the whole volume, of all classes but the most frequent one. All begin with one slice of each orientation through
the middle of the structure. Suggestions are those of `unet3d suggest` by the model of the row above; uniform slices are
spread evenly over the structure along each axis, in equal numbers, as the paper chose its own; random ones are drawn
along a random axis. DATASET has dense ``labels/``, or ``truth/``.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import keras_unet3d as unet3d
from keras_unet3d.annotation.slices import AnnotatedSlices
from keras_unet3d.evaluation.protocols import spread_slices

UNLABELLED = 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cases", required=True, help="names with commas between")
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    parser.add_argument("--filters", type=int, default=8, help="of the network's first level")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--more", type=int, default=3, help="slices that each round adds, a multiple of three")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of trainings and of random slices")
    arguments = parser.parse_args()
    print("| case | seed | slices | suggested | uniform | random |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in arguments.cases.split(","):
        for seed in arguments.seeds:
            told = {"steps": arguments.steps, "network.filters": arguments.filters, "seed": seed}
            settings = unet3d.read_settings(None, told)
            volume = Annotator(arguments.dataset, case, settings)
            for row in volume.rounds(arguments.rounds, arguments.more):
                print(f"| {case} | {seed} | {' | '.join(row)} |", flush=True)


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

    def rounds(self, rounds: int, more: int) -> Any:
        """A row of the table for each."""
        start = self.uniform(1)
        annotated = {"suggested": start, "uniform": start, "random": start}
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for number in range(rounds):
                count = 3 + number * more
                scores = []
                for name, slices in annotated.items():
                    if number or name == "suggested":  # the first row is the same for all
                        score, suggested = self.trained(slices, folder / f"{number}_{name}", more)
                    scores.append(f"{score:.3f}")
                    if name == "suggested":
                        following = together(slices, suggested)
                yield [str(count), *scores]
                annotated = {
                    "suggested": following,
                    "uniform": self.uniform(1 + (number + 1) * more // 3),
                    "random": self.with_random(annotated["random"], more),
                }

    def trained(self, slices: AnnotatedSlices, folder: Path, more: int) -> tuple[float, AnnotatedSlices]:
        """The score of a network that learned from some slices, and which it suggests next."""
        folder.mkdir()
        painted = np.where(slices.mask(self.labels.voxels.shape), self.labels.voxels, UNLABELLED).astype(np.uint8)
        annotation = folder / "annotation.nii.gz"
        unet3d.write_labels(annotation, replace(self.labels, voxels=painted))
        meaning = unet3d.Meaning(unlabeled=UNLABELLED)
        files = unet3d.dataset_from_pairs([self.image], [annotation])
        model = unet3d.fit(files, self.settings, meaning=meaning, models=folder / "models", runs=folder / "runs").model
        found = unet3d.segment(self.image, model=model).labels.voxels
        next_ = unet3d.suggest(self.image, annotation, folder / "next", model=model, count=more, meaning=meaning)
        ious = [
            np.count_nonzero((found == value) & (self.labels.voxels == value))
            / np.count_nonzero((found == value) | (self.labels.voxels == value))
            for value in self.classes
        ]
        axes = ([each.index for each in next_.slices if each.axis == axis] for axis in range(3))
        return float(np.mean(ious)), AnnotatedSlices(*map(tuple, axes))

    def uniform(self, each: int) -> AnnotatedSlices:
        """So many slices along each axis."""
        return spread_slices(self.labels.voxels.astype(np.int16), (each, each, each))

    def with_random(self, slices: AnnotatedSlices, more: int) -> AnnotatedSlices:
        """Some more slices, anywhere."""
        found = slices
        while len(found) < len(slices) + more:
            axis = int(self.rng.integers(3))
            new: list[tuple[int, ...]] = [(), (), ()]
            new[axis] = (int(self.rng.integers(self.labels.voxels.shape[axis])),)
            found = together(found, AnnotatedSlices(*new))
        return found


def together(first: AnnotatedSlices, second: AnnotatedSlices) -> AnnotatedSlices:
    return AnnotatedSlices(*(a + b for a, b in zip(first.per_axis, second.per_axis, strict=True)))


if __name__ == "__main__":
    main()
