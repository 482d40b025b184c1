"""The one spacing that all cases are resampled to, where theirs differ."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.annotation.resampling import resampled_labels
from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import read_description
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.settings import Settings
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.resampling import ResampledVoxels, resampled_grid
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.volume import Grid
from keras_unet3d.wording import few

DIFFERS = 1.2
"""Cases are resampled where the spacing of one differs from the median by more than this factor along some axis."""
UNLIKELY = 10.0
"""A spacing so many times another than the working spacing is taken for a wrong header."""
ANISOTROPIC = 3.0
"""Where the median is so many times as long along one axis as along the others, that axis gets a finer spacing."""
FINE_PERCENTILE = 10
"""Of the spacings along that axis."""


@dataclass(frozen=True, eq=False)
class LabelsOnly:
    """The labels of a case on the working grid, for what is decided before images are resampled.

    Attributes:
        class_index: ``(z, y, x)``.
    """

    class_index: NDArray[np.int16]


def resolve_spacing(settings: Settings, cases: Sequence[AnnotatedCase]) -> tuple[Settings, list[Decision]]:
    """Decide the working spacing, unless it is set.

    As nnU-Net does (Isensee et al. 2021, supplementary note 2), it is the median along each axis; where that is coarse
    along one axis, a tenth of the cases are finer there. Cases that are alike are not resampled.

    Args:
        settings: as the user gave them; `start` may name a model, whose working spacing is taken.
        cases: to learn from.

    Returns:
        Settings with a working spacing that has a unit, or ``"none"``; and the decision, if one was taken.

    Raises:
        InputError: if a spacing is set, and files do not say what theirs is; or if that of a case is so far from the
            working spacing that its header must be wrong: it would become a volume of any size.
    """
    grids = [case.image.grid for case in cases]
    unit, unknown = grids[0].unit, _incomparable(cases)
    if settings.resampled_to is not None and unknown:
        raise InputError(
            f"working_spacing = '{settings.resampled_to}', but {unknown}. Save them with spacing and unit, or set "
            "working_spacing = 'none'."
        )
    if settings.resampled_to is not None:
        _check_likely(cases, settings.resampled_to)
        return _with(settings, settings.resampled_to, unit), []
    if settings.working_spacing is not None:
        return settings, []
    start = read_description(settings.start).working_spacing if settings.start else None
    median, reason = _chosen(grids)
    if unknown:
        chosen, reason = None, f"{unknown}: what says nothing of its voxels cannot be resampled"
    elif start is not None:
        chosen, reason = start, "that of the model to begin with: cases that differ are resampled to it"
    else:
        chosen = median
    if chosen is not None:
        _check_likely(cases, chosen)
    resolved = _with(settings, chosen, unit)
    return resolved, [Decision("working_spacing", str(resolved.working_spacing), reason)]


def resampling_sentence(cases: Sequence[AnnotatedCase], spacing: Spacing) -> str:
    """How many cases are resampled, for people."""
    count = sum(working_grid(case, spacing) != case.image.grid for case in cases)
    return f"{count} of {len(cases)} cases {'is' if count == 1 else 'are'} resampled to {spacing}."


def resampled_case(case: AnnotatedCase, spacing: Spacing | None) -> AnnotatedCase:
    """A case as the network sees it: image and labels on the working grid; itself where that is its own."""
    grid = working_grid(case, spacing)
    if grid == case.image.grid:
        return case
    voxels = ResampledVoxels(case.image.voxels, case.image.grid, grid)[:, :, :]
    return AnnotatedCase(case.name, replace(case.image, voxels=voxels, grid=grid), labels_of(case, spacing).class_index)


def labels_of(case: AnnotatedCase, spacing: Spacing | None, class_index: NDArray[np.int16] | None = None) -> LabelsOnly:
    """The labels of a case, or a part of them, on the working grid."""
    labels = case.class_index if class_index is None else class_index
    grid = working_grid(case, spacing)
    return LabelsOnly(labels if grid == case.image.grid else resampled_labels(labels, case.image.grid, grid))


def working_grid(case: AnnotatedCase, spacing: Spacing | None) -> Grid:
    """The grid that a case is resampled to."""
    return case.image.grid if spacing is None else resampled_grid(case.image.grid, spacing)


def _with(settings: Settings, spacing: Spacing | None, unit: str) -> Settings:
    """The settings with a spacing in the unit of the data, in as many digits as are written, or with none."""
    if spacing is None:
        return settings.model_copy(update={"working_spacing": "none"})
    in_unit = Spacing(spacing.in_unit(unit), unit or spacing.unit)
    return settings.model_copy(update={"working_spacing": Spacing.parse(str(in_unit))})


def _check_likely(cases: Sequence[AnnotatedCase], spacing: Spacing) -> None:
    for case in cases:
        grid = case.image.grid
        times = np.divide(spacing.in_unit(grid.unit), grid.spacing)
        if max(times.max(), (1 / times).max()) > UNLIKELY:
            raise InputError(
                f"{case.image.source or case.name}: has voxels of {named(grid.spacing, grid.unit)}, more than "
                f"{UNLIKELY:g} times away from the working spacing, {spacing}. Correct its header, or set "
                "--working-spacing: to another one, or to none."
            )


def _incomparable(cases: Sequence[AnnotatedCase]) -> str:
    """Why spacings cannot be compared; empty where they can."""
    silent = [case.name for case in cases if case.image.grid.carries_no_space and not case.image.grid.placed]
    if silent:
        return f"the images of {few(silent)} carry no spacing"
    without = [case.name for case in cases if not case.image.grid.unit]
    if 0 < len(without) < len(cases):
        return f"the images of {few(without)} have no unit, and others have"
    return ""


def _chosen(grids: Sequence[Grid]) -> tuple[Spacing | None, str]:
    unit = grids[0].unit
    all_edges = np.array([grid.in_unit(unit).spacing for grid in grids])
    edges = np.median(all_edges, axis=0)
    apart = np.maximum(all_edges / edges, edges / all_edges).max(axis=0)
    if apart.max() <= DIFFERS:
        alike = "the case has one" if len(grids) == 1 else f"no case differs from the median by more than {DIFFERS:g}×"
        return None, f"{alike}, {Spacing(_triple(edges), unit)}"
    widest = int(apart.argmax())
    low, high = all_edges[:, widest].min(), all_edges[:, widest].max()
    reason = f"the spacing along {AXES[widest]} is from {low:.3g} to {high:.3g} {unit}".rstrip()
    coarse = int(edges.argmax())
    others = np.delete(edges, coarse).max()
    if edges[coarse] > ANISOTROPIC * others:
        edges[coarse] = max(np.percentile(all_edges[:, coarse], FINE_PERCENTILE), others)
        median = f"the median, and along {AXES[coarse]}, which is coarse, the {FINE_PERCENTILE}th percentile"
    else:
        median = "the median"
    return Spacing(_triple(edges), unit), f"{reason} in the cases: all are resampled to {median}"


def _triple(edges: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = edges.tolist()
    return z, y, x
