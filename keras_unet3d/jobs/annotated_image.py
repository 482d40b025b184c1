"""An image with what is annotated in it, for a model that is there already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keras_unet3d.annotation import LabelScheme, Meaning, dataset_from_pairs, load_cases
from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Volume

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from keras_unet3d.jobs.models import PathLike


def read_annotated(
    image: Any, annotation: PathLike, scheme: LabelScheme, meaning: Meaning | None
) -> tuple[Volume, NDArray[np.int16], tuple[str, ...]]:
    """Image, class index of its annotation in the model's scheme, and what looks wrong: read as a dataset of one case.

    Args:
        image: a file, or several, one per channel.
        annotation: labels on its grid.
        scheme: of the model.
        meaning: how to read unpainted voxels, where model and file do not say.

    Raises:
        InputError: if the two do not fit each other or the scheme.
    """
    if isinstance(image, Volume):
        raise InputError(
            f"An annotation needs the file of the image, to compare its grid with {annotation}. Received: a volume in "
            "memory"
        )
    read = load_cases(replace(dataset_from_pairs([image], [annotation]), scheme=scheme), meaning, to_learn=False)
    (case,) = read.cases
    try:  # what is said of unpainted voxels can take a class out of the scheme, or bring one in
        return case.image, scheme.index_of(case.class_index, read.scheme), tuple(map(str, read.warnings))
    except InputError as error:
        raise InputError(f"{annotation}: {error}") from error
