"""The page that `fit` leaves in its run's folder: what it trained on, how that went, and what it predicts."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.errors import UNet3DError
from keras_unet3d.evaluation.case_view import CaseView, steps_of_uncertainty
from keras_unet3d.evaluation.model_page import model_page
from keras_unet3d.evaluation.page import Page, Section, write_page
from keras_unet3d.evaluation.score_sections import case_section, score_section
from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.evaluation.volume_view import VolumeView, views_html
from keras_unet3d.inference.results import HeldVoxels, Results
from keras_unet3d.metrics import CaseScores, Scores, ScoreTable
from keras_unet3d.serving.description import read_description
from keras_unet3d.training.validation import middle_of, predicted, predictor_of
from keras_unet3d.volumes import Grid
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box

if TYPE_CHECKING:
    from pathlib import Path

    from keras_unet3d.jobs.fit_plan import FitPlan
    from keras_unet3d.training.held_out import HeldOut
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.sampling import TrainingVolume
    from keras_unet3d.training.trainer import Trained

REPORT_FILE = "report.html"
MOST_VOXELS = 2_000_000
"""Of the volume that is shown: they are segmented within a minute, mostly in seconds."""


def write_fit_report(
    run: Path, version: Path, plan: FitPlan, parted: HeldOut, trained: Trained, listener: Listener
) -> Path | None:
    """Write ``report.html`` into a run's folder.

    It shows one volume, or the middle of a large one, as the network that was kept segments it: that which went worst
    of those of which something was held out, else the first. A page that cannot be written does not take the model with
    it, which is there already.

    Args:
        run: its folder.
        version: of the model.
        plan: of the training.
        parted: what was learned from, and what was held out.
        trained: the network that was kept, and its scores.
        listener: told where it cannot be written.
    """
    scores = _scores(plan, parted, trained)
    if scores:
        volume = next(volume for volume in parted.validation if volume.name == scores.cases[0].name)
        which = "The volume that went worst" if len(scores.cases) > 1 else "The volume with something held out"
        words = f"{which}, compared where it was held out."
    else:
        volume = next(volume for volume in parted.training if (volume.class_index != UNLABELED).any())
        words = "The first volume, compared with what was learned from it: nothing was held out."
    box = _middle(volume)
    case = _case(plan, volume, box, trained.model)
    if box.shape != volume.class_index.shape:
        shape = volume.class_index.shape
        words += f" This is its middle, {named(box.shape)} of {named(shape)} voxels; unet3d report shows whole volumes."
    sections = [
        Section(f"Slices of {case.name}", [words, slice_legend(case), slice_browser(case)]),
        Section("From all sides", [views_html([VolumeView.of(case)])]),
    ]
    if scores and len(scores.cases) > 1:
        told = "Each volume where something of it was held out, by the weights that were kept."
        by_volume = Section("Scores on what was held out, by volume", [told, *score_section(scores).parts])
        sections = [by_volume, case_section(scores, (), [case.name]), *sections]
    else:
        scores = None  # the description has those of all that was held out together
    return _written(run, model_page(_name(version), read_description(version), sections, scores), listener)


def _scores(plan: FitPlan, parted: HeldOut, trained: Trained) -> ScoreTable | None:
    """Of each volume of which something was held out; None where nothing was."""
    if trained.validation is None:
        return None
    scheme = plan.dataset.scheme
    pairs = zip(parted.validation, trained.validation.overlaps, strict=True)
    held_out = [(volume.name, overlap) for volume, overlap in pairs if overlap.voxels]
    return ScoreTable((CaseScores(name, overlap, Scores.of(overlap, scheme)) for name, overlap in held_out), scheme)


def write_folds_report(run: Path, version: Path, scores: ScoreTable, listener: Listener) -> Path | None:
    """Write ``report.html`` into the folder of a cross-validation; as `write_fit_report`, it takes nothing with it.

    Args:
        run: its folder.
        version: of the model.
        scores: of each case, by the network that did not learn from it.
        listener: told where it cannot be written.
    """
    words = "Each case was scored by the one network of the model that did not learn from it."
    scored, cases = score_section(scores), case_section(scores, (), ())
    sections = [Section(scored.heading, [words, *scored.parts]), cases]
    return _written(run, model_page(_name(version), read_description(version), sections, scores), listener)


def _name(version: Path) -> str:
    return f"{version.parent.name}, version {version.name}"


def _written(run: Path, page: Page, listener: Listener) -> Path | None:
    path = run / REPORT_FILE
    try:
        write_page(path, page)
    except UNet3DError as error:
        listener.say(f"The report could not be written: {error}")
        return None
    return path


def _middle(volume: TrainingVolume) -> Box:
    """Of the labels, with the proportions of the volume."""
    shape = volume.class_index.shape
    share = min((MOST_VOXELS / prod(shape)) ** (1 / 3), 1)
    size = [max(int(length * share), 1) for length in shape]
    middle = middle_of(volume.class_index != UNLABELED)
    start = (min(max(at - edge // 2, 0), length - edge) for at, edge, length in zip(middle, size, shape, strict=True))
    return Box.at(tuple(start), size)


def _case(plan: FitPlan, volume: TrainingVolume, box: Box, network: Any) -> CaseView:
    settings = plan.settings
    working = settings.resampled_to
    unit = working.unit if working else next(row.unit for row in plan.summary.rows if row.name == volume.name)
    image, class_index = volume.image[box.slices], volume.class_index[box.slices]
    unsure = np.empty((*box.shape, 1), np.float32)
    found = Results(HeldVoxels(np.empty(box.shape, np.int16)), uncertainty=HeldVoxels(unsure))
    prediction = predicted(predictor_of(network, settings), image, settings.network.filters, found)
    return CaseView(
        volume.name,
        image,
        Grid(box.shape, volume.spacing, unit=unit),
        plan.dataset.channel_names,
        plan.dataset.scheme,
        prediction,
        class_index,
        uncertainty=steps_of_uncertainty(unsure[..., 0]),
    )
