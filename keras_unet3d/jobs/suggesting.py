"""`suggest`: which slices of an image to annotate next, prepared for an editor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet3d.annotation import UNLABELED, Meaning, dataset_from_pairs
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.annotated_image import read_annotated
from keras_unet3d.jobs.models import DEFAULT_MODEL, Models, PathLike, described_models, load_model
from keras_unet3d.jobs.segmenting import segment
from keras_unet3d.serving.versions import written_version
from keras_unet3d.volumes import open_image, read_labels, suffix_of, write_labels
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.formats import WRITABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from keras_unet3d.annotation.labels import Colour
    from keras_unet3d.evaluation.suggestion import Suggestion
    from keras_unet3d.serving.saved_model import LoadedModel
    from keras_unet3d.volumes import Volume

ANNOTATION = "annotation"
"""The name of the file to go on with, without its suffix."""
OTHER_BYTES = 24
"""Of each voxel, beside image and probabilities: labels of several kinds, and uncertainty, twice."""
PIXELS = 512
"""Of the longer side of a slice, in a picture."""


@dataclass(frozen=True, eq=False)
class Suggestions:
    """What `suggest` leaves.

    Attributes:
        slices: to annotate, that which would teach most first.
        folder: of this round, with everything that was written.
        annotation: the file to go on with: what was annotated, and in the suggested slices what the model says, to be
            corrected; every other voxel is as it was.
        pictures: of each slice: the image, the predicted structures over it, and where the model is unsure (bright).
        unit: of distances, empty where it is not known.
        planes: what slices orthogonal to z, y and x are called in a patient (`Grid.planes`).
        meaning: how to read unpainted voxels of `annotation`, by what was said and what the model knows; of slices, all
            that are annotated once the suggested ones are corrected.
        warnings: what looks wrong with image and annotation.
    """

    slices: tuple[Suggestion, ...]
    folder: Path
    annotation: Path
    pictures: tuple[Path, ...]
    unit: str
    planes: tuple[str, str, str]
    meaning: Meaning
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of the slices: ``axial z=31``, or ``z=31`` where nobody knows how the volume lies."""
        return [f"{self.planes[each.axis]} {each.name}".lstrip() for each in self.slices]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        slices = self.meaning.slices_of("")
        return {
            "slices": [
                {
                    "slice": each.name,
                    "plane": self.planes[each.axis] or None,
                    "axis": AXES[each.axis],
                    "index": each.index,
                    "gain": each.gain,
                    "uncertainty": each.uncertainty,
                    "distance": each.distance if np.isfinite(each.distance) else None,
                    "picture": str(picture),
                }
                for each, picture in zip(self.slices, self.pictures, strict=True)
            ],
            "unit": self.unit,
            "annotation": str(self.annotation),
            "annotated_slices": None if slices is None else str(slices),
            "unlabeled": self.meaning.unlabeled,
            "dense": self.meaning.dense,
            "warnings": list(self.warnings),
        }


def suggest(
    image: PathLike | Sequence[PathLike],
    annotation: PathLike,
    folder: PathLike = "suggestions",
    *,
    model: Models = DEFAULT_MODEL,
    count: int = 5,
    meaning: Meaning | None = None,
    progress: Callable[[float], None] | None = None,
) -> Suggestions:
    """Say which slices of an annotated image to annotate next, and prepare them.

    The model is unsure where its probabilities are undecided (their entropy); several networks, of an ensemble or of
    several models, where they contradict each other (Houlsby et al. 2011, "Bayesian active learning for classification
    and preference learning": the entropy of their mean less the mean of their entropies). Slices are chosen by
    `keras_unet3d.evaluation.suggestion.suggest_slices`.

    Args:
        image: a file, or several files, one per channel.
        annotation: labels on its grid, in some slices.
        folder: of all rounds, which are numbered in it: 1, 2, …
        model: a folder, with or without the version, a loaded model, or several of them.
        count: slices.
        meaning: how to read unpainted voxels, where model and file do not say.
        progress: told the share of the work that is done.

    Raises:
        InputError: if image, annotation and model do not fit each other, or the folder cannot be made.
        WorkError: if writing fails.
    """
    from keras_unet3d.evaluation.suggestion import as_slices, suggest_slices

    models = described_models(model)
    scheme, meaning = models[0][1].scheme, meaning or Meaning()
    if count < 1:
        raise InputError(f"Expected one slice or more to suggest. Received: {count}")
    _check_memory(image, scheme.classes)
    volume, class_index, doubtful = read_annotated(image, annotation, scheme, meaning)
    labelled = class_index != UNLABELED
    if labelled.all():
        raise InputError(f"{annotation}: every voxel is labelled, so that no slice is left to annotate.")
    given = meaning.slices_of(dataset_from_pairs([image], [annotation]).cases[0].name)
    networks = [load_model(source) if isinstance(source, str | Path) else source for source, _ in models]
    with written_version(Path(folder)) as (round_, unfinished):
        predicted, uncertainty, warnings = _unsure(volume, networks, progress or (lambda _: None))
        found = suggest_slices(uncertainty, labelled, volume.grid.spacing, count)
        suggested = as_slices(found)
        painted = read_labels(annotation)
        suffix = suffix_of(Path(annotation))
        name = f"{ANNOTATION}{suffix if suffix in WRITABLE else '.nii.gz'}"
        prefilled = np.where(suggested.mask(labelled.shape) & ~labelled, scheme.label_values(predicted), painted.voxels)
        write_labels(
            unfinished / name, replace(painted, voxels=prefilled, segments={**scheme.segments, **painted.segments})
        )
        pictures, over = [], np.where(predicted == scheme.background, np.int16(UNLABELED), predicted)
        for number, each in enumerate(found, 1):
            pictures.append(f"{number}_{each.name.replace('=', '')}.png")
            _write_picture(unfinished / pictures[-1], volume, over, uncertainty, each, scheme.colours)
    return Suggestions(
        tuple(found),
        round_,
        round_ / name,
        tuple(round_ / picture for picture in pictures),
        volume.grid.unit,
        volume.grid.planes,
        replace(
            meaning,
            annotated_slices=None if given is None else given | suggested,
            unlabeled=meaning.declared(scheme).unlabeled,
        ),
        (*doubtful, *warnings),
    )


def _check_memory(image: PathLike | Sequence[PathLike], classes: int) -> None:
    """Refuse an image that is too large to be looked at as a whole, before it is read."""
    from keras_unet3d.inference.budget import default_budget, shown

    with open_image(image) as volume:
        shape, channels = volume.grid.shape, volume.voxels.shape[3]
    needed, budget = prod(shape) * (4 * channels + 8 * classes + OTHER_BYTES), default_budget()
    if needed > budget:
        named_image = image if isinstance(image, str | Path) else ", ".join(map(str, image))
        raise InputError(
            f"{named_image}: {named(shape)} take {shown(needed, rounded_up=True)} to look for slices in; "
            f"{shown(budget)} are free. Annotate and look in a part of the image, or a coarser level of an OME-Zarr "
            f"(such as brain.ome.zarr/2)."
        )


def _unsure(
    volume: Volume, models: Sequence[LoadedModel], progress: Callable[[float], None]
) -> tuple[NDArray[np.int16], NDArray[np.float32], tuple[str, ...]]:
    """The most probable class of each voxel and how unsure it is, 0–1, both ``(z, y, x)``; and warnings."""
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.inference.results import entropy
    from keras_unet3d.serving.saved_model import LoadedModel

    members = [LoadedModel(each.path, each.description, network) for each in models for network in each.networks]
    options = SegmentOptions(probabilities=True)
    mean = np.zeros((*volume.grid.shape, models[0].classes), np.float32)
    own = np.zeros(volume.grid.shape, np.float32)
    warnings: list[str] = []
    for number, member in enumerate(members):

        def told(share: float, number: int = number) -> None:
            progress((number + share) / len(members))

        segmented = segment(volume, model=member, options=options, progress=told)
        found = segmented.probabilities
        if found is None:
            raise RuntimeError("Probabilities that were asked for are returned.")
        warnings += segmented.warnings
        mean += found.voxels
        own += entropy(found.voxels)
    mean /= len(members)
    whole = entropy(mean)
    unsure = whole if len(members) == 1 else np.maximum(whole - own / np.float32(len(members)), 0)
    return mean.argmax(axis=-1).astype(np.int16), unsure, tuple(dict.fromkeys(warnings))


def _write_picture(
    file: Path,
    volume: Volume,
    over: NDArray[np.int16],
    uncertainty: NDArray[np.float32],
    slice_: Suggestion,
    colours: Sequence[Colour | None],
) -> None:
    from PIL import Image

    from keras_unet3d.annotation.pictures import enlarged, side_by_side, slice_panel, slice_size
    from keras_unet3d.evaluation.slice_layers import heat

    axis, spacing = AXES[slice_.axis], volume.grid.spacing
    z, y, x = (slice_.index if number == slice_.axis else 0 for number in range(3))
    panel = slice_panel(
        volume.voxels, [over], axis=axis, at=(z, y, x), spacing=spacing, colours=colours, longest=PIXELS
    )
    unsure = np.take(uncertainty, slice_.index, axis=slice_.axis) / np.float32(max(uncertainty.max(), 1e-6))
    bright = heat(enlarged(unsure, slice_size(volume.grid.shape, axis, spacing, PIXELS)))
    Image.fromarray(side_by_side([panel, bright])).save(file)
