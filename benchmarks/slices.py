"""What annotated slices are worth, in 3D and in 2D: a volume is learned from some of its slices, scored on the others.

    python benchmarks/slices.py mouse_embryo_nuclei --cases Emb01_t301,Emb02_t401 --minutes 10

Each row is one `unet3d fit` of one volume whose labels are kept in so many slices orthogonal to x, y and z (yz, xz,
xy), and one `unet3d segment` of that volume; the score is the IoU of each class but the first at all voxels that the
annotation did not label (Çiçek et al. 2016, section 4.1 and table 2). The 2D network sees slices orthogonal to z.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from accuracy import UNLABELLED, keep_slices, trained

import keras_unet3d as unet3d

PAPER = "1,1,1 2,2,1 3,3,2 5,5,3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cases", required=True, help="names with commas between")
    parser.add_argument("--slices", nargs="+", default=PAPER.split(), help=f"counts of yz,xz,xy; {PAPER}")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[3, 2])
    parser.add_argument("--variant", default="", help="settings with blanks between, such as 'seed=1'; see accuracy.py")
    arguments = parser.parse_args()
    told = json.loads((arguments.dataset / "dataset.json").read_text(encoding="utf-8"))
    classes = [int(value) for value in told["labels"]]
    print("| case | slices (yz, xz, xy) | labelled | network | steps | IoU of what is not |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in arguments.cases.split(","):
        for slices in arguments.slices:
            for dimensions in arguments.dimensions:
                with TemporaryDirectory() as scratch:
                    show(arguments, case, slices, dimensions, classes, Path(scratch))


def show(
    arguments: argparse.Namespace, case: str, slices: str, dimensions: int, classes: list[int], scratch: Path
) -> None:
    dataset = arguments.dataset
    (image,), (labels,) = (list(dataset.resolve().glob(f"{folder}/{case}.*")) for folder in ("images", "labels"))
    part = scratch / "part"
    for folder in ("images", "labels"):
        (part / folder).mkdir(parents=True)
    (part / "images" / image.name).symlink_to(image)
    annotation = part / "labels" / labels.name
    keep_slices(labels, annotation, [int(count) for count in slices.split(",")])
    told = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    told = {name: told[name] for name in ("labels", "modality", "channel_names", "spacing") if name in told}
    told["labels"][str(UNLABELLED)] = "unlabeled"
    (part / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    variant = f"network.dimensions={dimensions} {arguments.variant}"
    steps, model = trained(part, scratch, variant, arguments.minutes)
    unlabelled = unet3d.read_labels(annotation).voxels == UNLABELLED
    found = unet3d.segment(image, model=model).labels.voxels[unlabelled]
    truth = unet3d.read_labels(labels).voxels[unlabelled]
    ious = []
    for value in classes[1:]:
        both = np.count_nonzero((found == value) & (truth == value))
        ious.append(both / max(np.count_nonzero((found == value) | (truth == value)), 1))
    shown = ", ".join(f"{iou:.3f}" for iou in ious)
    print(f"| {case} | {slices} | {1 - unlabelled.mean():.1%} | {dimensions}D | {steps} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
