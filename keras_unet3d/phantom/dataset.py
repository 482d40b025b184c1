"""The phantom as a dataset on disk: what the paper had, and the truth beside it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.phantom.annotation import UNPAINTED, annotate, choose_slices
from keras_unet3d.phantom.kidney import CHANNELS, kidney
from keras_unet3d.phantom.tissue import BACKGROUND, INSIDE, TUBULE
from keras_unet3d.volumes import write_image, write_labels
from keras_unet3d.volumes.box import Triple
from keras_unet3d.volumes.volume import Segment, Volume
from keras_unet3d.volumes.whole_file import written_whole_folder

SEGMENTS = {
    INSIDE: Segment("inside", (255, 200, 0)),
    TUBULE: Segment("tubule", (210, 30, 100)),
    BACKGROUND: Segment("background", (60, 110, 180)),
    UNPAINTED: Segment("unlabeled"),
}


@dataclass(frozen=True)
class Sample:
    """One of the paper's recordings: its size and its annotated slices, both along z, y, x."""

    shape: Triple
    slices: Triple

    def slices_at(self, shape: Triple) -> Triple:
        """Slices that label about the same share of a volume of another size; at least one along each axis."""
        z, y, x = (
            max(1, round(count * size / full)) for count, size, full in zip(self.slices, shape, self.shape, strict=True)
        )
        return z, y, x


SAMPLES = (
    Sample(shape=(64, 244, 248), slices=(21, 5, 7)),
    Sample(shape=(56, 244, 245), slices=(12, 7, 6)),
    Sample(shape=(59, 244, 246), slices=(10, 5, 4)),
)
"""The three samples of Çiçek et al. 2016, section 3.1."""


def write_phantom_dataset(
    folder: str | os.PathLike[str],
    shape: Triple | None = None,
    volumes: int = len(SAMPLES),
    seed: int = 0,
    on_volume: Callable[[str], None] | None = None,
) -> Path:
    """Write synthetic kidneys as a dataset: ``images/``, ``labels/`` (sparse), ``truth/`` (dense), ``dataset.json``.

    The folder appears whole or not at all.

    Args:
        folder: to be made; it must not exist, or be empty.
        shape: voxels along z, y, x of every volume; without it each has the size of the paper's sample.
        volumes: how many; a fourth is annotated like the paper's first, and so on.
        seed: decides everything.
        on_volume: called with the name of each volume once it is written.

    Returns:
        The folder.

    Raises:
        InputError: if the folder is in use, the volumes too small, or none are asked for.
        WorkError: if writing fails.
    """
    if volumes < 1:
        raise InputError(f"Expected at least one volume to make. Received: {volumes}.")
    names = [f"kidney_{number}" for number in range(1, volumes + 1)]
    with written_whole_folder(folder) as unfinished:
        for part in ("images", "labels", "truth"):
            (unfinished / part).mkdir()
        for index, name in enumerate(names):
            sample = SAMPLES[index % len(SAMPLES)]
            phantom = kidney(shape or sample.shape, (seed, index))
            image = Volume(phantom.image, phantom.grid, CHANNELS)
            annotated = choose_slices(phantom.truth, sample.slices_at(phantom.grid.shape))
            sparse = annotate(phantom.truth, annotated)
            write_image(unfinished / "images" / f"{name}.nii.gz", image)
            write_labels(unfinished / "labels" / f"{name}.nii.gz", image.with_voxels(sparse, SEGMENTS))
            write_labels(unfinished / "truth" / f"{name}.nii.gz", image.with_voxels(phantom.truth, SEGMENTS))
            if on_volume:
                on_volume(name)
        description = json.dumps(_description(names, seed), indent=2, ensure_ascii=False)
        (unfinished / "dataset.json").write_text(description + "\n", encoding="utf-8")
    return Path(folder)


def _description(names: list[str], seed: int) -> dict[str, object]:
    """The contents of ``dataset.json``, in the form of the Medical Segmentation Decathlon."""
    return {
        "name": "kidney-phantom",
        "description": f"Synthetic Xenopus kidneys, seed {seed}: some slices annotated, the dense truth in truth/.",
        "reference": "stands in for the data of Çiçek et al. 2016, 3D U-Net, section 3.1",
        "tensorImageSize": "4D",
        "modality": {str(index): channel for index, channel in enumerate(CHANNELS)},
        "labels": {str(label): segment.name for label, segment in SEGMENTS.items()},
        "numTraining": len(names),
        "numTest": 0,
        "training": [{"image": f"./images/{name}.nii.gz", "label": f"./labels/{name}.nii.gz"} for name in names],
        "test": [],
    }
