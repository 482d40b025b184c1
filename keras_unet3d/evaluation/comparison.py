"""Predictions beside what was annotated and what is true: scores, and slices to look at."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.annotation.pictures import class_colours, slice_panel
from keras_unet3d.annotation.slices import find_annotated_slices
from keras_unet3d.evaluation.report import Figure, Section, write_report
from keras_unet3d.metrics import Overlap, Scores
from keras_unet3d.volumes import Volume
from keras_unet3d.volumes.axes import AXES

ClassIndex = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Comparison:
    """One volume and its label maps as class indices ``(z, y, x)``.

    Attributes:
        name: of the volume.
        image: the volume itself.
        annotation: what training saw.
        prediction: what the model says.
        truth: what is true.
    """

    name: str
    image: Volume
    annotation: ClassIndex
    prediction: ClassIndex
    truth: ClassIndex

    def overlap(self, classes: int) -> Overlap:
        """Of the prediction with the truth."""
        return Overlap.of(self.truth, self.prediction, classes)


def scores_of_all(comparisons: Sequence[Comparison], scheme: LabelScheme) -> Scores:
    """Scores over the voxels of all volumes together."""
    overlaps = [each.overlap(scheme.classes) for each in comparisons]
    return Scores.of(reduce(add, overlaps, Overlap.none(scheme.classes)), scheme)


def write_comparison(
    path: str | os.PathLike[str],
    title: str,
    introduction: Sequence[str],
    comparisons: Sequence[Comparison],
    scheme: LabelScheme,
) -> None:
    """Write a report: scores of all volumes, and of each volume an annotated and two other slices.

    Raises:
        InputError: if the folder is missing or cannot be written to.
        WorkError: if writing fails.
    """
    colours = class_colours(scheme.colours)
    legend = dict(zip(scheme.names, colours, strict=True))
    sections = [Section("Scores", introduction, _score_table(comparisons, scheme))]
    for each in comparisons:
        figures = [_figure(each, axis, index, colours) for axis, index in _slices_to_show(each)]
        sections.append(Section(each.name, [_LEFT_TO_RIGHT], legend=legend, figures=figures))
    write_report(path, title, sections)


_LEFT_TO_RIGHT = "From left to right: the image, the annotation that training saw, the prediction, the truth."


def _score_table(comparisons: Sequence[Comparison], scheme: LabelScheme) -> list[list[str | float]]:
    rows = [(each.name, Scores.of(each.overlap(scheme.classes), scheme)) for each in comparisons]
    rows.append(("all together", scores_of_all(comparisons, scheme)))
    table: list[list[str | float]] = [["IoU", *scheme.names, "mean"]]
    for name, scores in rows:
        table.append([name, *(score.iou for score in scores.classes), scores.mean_iou])
    return table


def _slices_to_show(comparison: Comparison) -> list[tuple[str, int]]:
    """An annotated slice of z, and of z and y the ones next to the middle that were not annotated."""
    annotated = find_annotated_slices(comparison.annotation != UNLABELED)
    chosen: list[tuple[str, int]] = []
    for axis in ("z", "y"):
        length = comparison.truth.shape[AXES.index(axis)]
        known = set(annotated.per_axis[AXES.index(axis)])
        by_distance = sorted(range(length), key=lambda index: abs(index - length // 2))
        if axis == "z":
            chosen += [(axis, index) for index in by_distance if index in known][:1]
        chosen += [(axis, index) for index in by_distance if index not in known][:1]
    return chosen


def _figure(comparison: Comparison, axis: str, index: int, colours: Sequence[Any]) -> Figure:
    dimension = AXES.index(axis)
    z, y, x = (index if number == dimension else 0 for number in range(3))
    maps = [comparison.annotation, comparison.prediction, comparison.truth]
    grid = comparison.image.grid
    picture = slice_panel(comparison.image.voxels, maps, axis=axis, at=(z, y, x), spacing=grid.spacing, colours=colours)
    labelled = float((comparison.annotation.take(index, axis=dimension) != UNLABELED).mean())
    seen = "annotated" if labelled == 1 else f"{labelled:.0%} of it annotated, where other annotated slices cross"
    return Figure(picture, f"{comparison.name}, slice {axis}={index}: {seen if labelled else 'not annotated'}.")
