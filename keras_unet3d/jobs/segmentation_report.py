"""The page that `segment` writes of one image: what it is segmented into, and where that is unsure."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, cast

import numpy as np

from keras_unet3d.evaluation.case_view import CaseView, Derived, steps_of_uncertainty
from keras_unet3d.evaluation.html import element
from keras_unet3d.evaluation.model_page import footer
from keras_unet3d.evaluation.page import Page, Section, cards, facts_list, write_page
from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.evaluation.tables import Cell, table
from keras_unet3d.evaluation.volume_view import VolumeView, views_html
from keras_unet3d.serving.facts import model_facts
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.suffixes import shown_name
from keras_unet3d.wording import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from keras_unet3d.inference.segmented import Segmented
    from keras_unet3d.jobs.models import PathLike
    from keras_unet3d.serving.description import ModelDescription
    from keras_unet3d.volumes import Volume
    from keras_unet3d.volumes.voxels import Voxels


def write_segmentation_report(
    path: PathLike,
    image: Volume,
    segmented: Segmented,
    models: Sequence[tuple[str, ModelDescription]],
    kept: NDArray[np.int16] | None,
    warnings: Sequence[str],
) -> None:
    """Write the page of a segmentation: volumes, slices, a 3D view, and what the model is unsure of.

    Image and results are read part by part; what is held of them is what is shown.

    Args:
        path: of the page.
        image: as it was read.
        segmented: what came out, with its uncertainty.
        models: names and descriptions of those that were used.
        kept: class indices that were kept as annotated.
        warnings: what the user should know.

    Raises:
        InputError: if the folder is missing or cannot be written to.
        WorkError: if writing fails.
    """
    scheme = models[0][1].scheme
    name = shown_name(image.source) if image.source else "an image"
    case = CaseView(
        name,
        image.voxels,
        image.grid,
        models[0][1].channels,
        scheme,
        prediction=Derived((segmented.labels,), scheme.class_index, np.dtype(np.int16)),
        annotation=kept,
        uncertainty=Derived((cast("Voxels", segmented.uncertainty),), lambda part: steps_of_uncertainty(part[..., 0])),
    )
    sections = [
        Section("Volumes", [_volumes(case, segmented)]),
        Section("Slices", [slice_legend(case), slice_browser(case)]),
        Section("From all sides", [views_html([VolumeView.of(case)])]),
        *(Section(f"The model, {model}", [facts_list(list(model_facts(each).items()))]) for model, each in models),
    ]
    notices = [element("p", warning, class_="notice") for warning in warnings]
    counts = segmented.counts.tolist()
    facts = [("voxels", f"{prod(image.grid.shape):,}", named(image.grid.shape))]
    for index, (class_name, count) in enumerate(zip(scheme.names, counts, strict=True)):
        if index != case.background:
            facts.append((class_name, *_measured(count, case)))
    lead = [f"Every voxel labelled by {' and '.join(model for model, _ in models)}.", *notices, cards(facts[:6])]
    write_page(path, Page(f"Segmentation of {name}", lead, sections, footer(models[0][1]), volume_view=True))


def _measured(count: int, case: CaseView) -> tuple[str, str]:
    """How much a class takes: a volume where the unit is known, and its share."""
    share = f"{count / prod(case.grid.shape):.2%} of the voxels"
    if not case.grid.unit:
        return f"{count:,}", f"voxels, {share}"
    return f"{rounded(_volume(count, case), 4)} {case.grid.unit}³", share


def _volume(count: int, case: CaseView) -> float:
    """In the third power of the grid's unit; right for sheared voxels, too."""
    return count * abs(float(np.linalg.det(case.grid.affine[:3, :3])))


def _volumes(case: CaseView, segmented: Segmented) -> str:
    unit = case.grid.unit
    total = prod(case.grid.shape)
    rows: list[list[Cell]] = []
    for name, count in zip(case.scheme.names, segmented.counts.tolist(), strict=True):
        volume = [rounded(_volume(count, case), 6)] if unit else []
        rows.append([name, count, f"{count / total:.2%}", *volume])
    header = ["class", "voxels", "share", *([f"volume, {unit}³"] if unit else [])]
    words = f"Of {named(case.grid.shape)} voxels of {named(case.grid.spacing, unit)}"
    return table(header, rows, caption=words if unit else f"{words}, whose unit the file does not say")
