"""Reading one case: an image and its labels on one grid."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from keras_unet3d.annotation import neighbourhoods
from keras_unet3d.annotation.dataset import Case, Dataset
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError
from keras_unet3d.volumes import read_image, read_labels
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.opening import opened_file, opened_image
from keras_unet3d.volumes.suffixes import within_zarr
from keras_unet3d.volumes.unpacking import Opening
from keras_unet3d.volumes.volume import Volume


class CaseError(Exception):
    """A case that cannot be used, with what is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read_case(dataset: Dataset, case: Case) -> tuple[Volume, Volume]:
    """Image and labels of a case, on the same grid."""
    if case.labels is None:
        raise CaseError(
            Problem(
                dataset.shown(case.images[0]),
                "this image has no labels; expected a label file of the same name.",
                "Annotate it, or take it out of the dataset (segment needs no dataset).",
            )
        )
    image = _read(dataset, case.images, lambda paths: read_image(paths[0] if len(paths) == 1 else paths))
    labels = _read(dataset, (case.labels,), lambda paths: read_labels(paths[0]))
    if isinstance(image, Problem) or isinstance(labels, Problem):
        raise CaseError(*(found for found in (image, labels) if isinstance(found, Problem)))
    return _on_one_grid(dataset, case, image, labels)


def open_large_case(dataset: Dataset, case: Case) -> tuple[Volume, Volume] | None:
    """Open image and labels of a case of OME-Zarr that is large, to be read part by part; None for any other case.

    Voxels are ``(z, y, x, channel)`` and ``(z, y, x, 1)``.
    """
    if case.labels is None or not all(map(within_zarr, (*case.images, case.labels))):
        return None
    opening = Opening(ExitStack(), whole=False)  # of which nothing is to be closed
    image = _read(dataset, case.images, lambda paths: opened_image(paths, opening))
    labels = _read(dataset, (case.labels,), lambda paths: opened_file(paths[0], opening))
    if isinstance(image, Problem) or isinstance(labels, Problem):
        return None
    size = math.prod(image.voxels.shape) * image.voxels.dtype.itemsize
    if size < neighbourhoods.LARGE or labels.voxels.shape[3] > 1 or labels.voxels.dtype.kind not in "biu":
        return None
    return _on_one_grid(dataset, case, image, labels)


def _on_one_grid(dataset: Dataset, case: Case, image: Volume, labels: Volume) -> tuple[Volume, Volume]:
    _check_grids(dataset, case, image, labels)
    grid = image.grid
    if grid.carries_no_space:
        grid = replace(labels.grid, shape=grid.shape)
        if grid.carries_no_space and dataset.spacing is not None:
            grid = replace(grid, spacing=dataset.spacing, unit=dataset.spacing_unit)
    return replace(image, grid=grid), labels


def _read(dataset: Dataset, paths: Sequence[Path], read: Callable[[Sequence[Path]], Volume]) -> Volume | Problem:
    try:
        return read(paths)
    except InputError as error:
        blamed = next((path for path in paths if str(error).startswith(f"{path}: ")), paths[0])
        return replace(Problem.of(str(blamed), error), file=dataset.shown(blamed))


def _check_grids(dataset: Dataset, case: Case, image: Volume, labels: Volume) -> None:
    if image.grid.shape != labels.grid.shape:
        found = f"{named(labels.grid.shape)}, its image {dataset.shown(case.images[0])} has {named(image.grid.shape)}."
    elif image.grid.agrees(labels.grid):
        return
    else:
        found = (
            f"lies elsewhere than its image {dataset.shown(case.images[0])} (by more than 1 % of a voxel): "
            f"{labels.grid}; the image: {image.grid}."
        )
    fix = "Annotate on the image's own grid, or resample the labels onto it (nearest neighbour)."
    raise CaseError(Problem(dataset.shown_labels(case), found, fix))
