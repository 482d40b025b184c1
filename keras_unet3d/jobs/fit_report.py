"""The page that `fit` leaves in its run's folder: what it trained on, how that went, and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_unet3d.errors import UNet3DError
from keras_unet3d.evaluation.case_view import CaseView
from keras_unet3d.evaluation.model_page import model_page
from keras_unet3d.evaluation.page import Page, Section, write_page
from keras_unet3d.evaluation.score_sections import case_section, score_section
from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.serving.description import read_description
from keras_unet3d.volumes import Grid

if TYPE_CHECKING:
    from pathlib import Path

    from keras_unet3d.jobs.fit_plan import FitPlan
    from keras_unet3d.metrics import ScoreTable
    from keras_unet3d.training.held_out import HeldOut
    from keras_unet3d.training.listener import Listener
    from keras_unet3d.training.validation import Validation

REPORT_FILE = "report.html"


def write_fit_report(
    run: Path, version: Path, plan: FitPlan, parted: HeldOut, validation: Validation | None, listener: Listener
) -> Path | None:
    """Write ``report.html`` into a run's folder.

    Nothing is segmented for it: it shows what the last validation predicted, or where nothing is held out what there
    was to learn from. A page that cannot be written does not take the model with it, which is there already.

    Args:
        run: its folder.
        version: of the model.
        plan: of the training.
        parted: what was learned from, and what was held out.
        validation: of the model that is kept.
        listener: told where it cannot be written.
    """
    description = read_description(version)
    case = _case(plan, parted, validation)
    words = (
        "The first volume with something held out, as the weights that were kept predict it. It is compared where "
        "it was held out."
        if validation
        else "Nothing was held out to compare with. This is what there was to learn from in the first volume."
    )
    section = Section(f"Slices of {case.name}", [words, slice_legend(case), slice_browser(case)])
    return _written(run, model_page(_name(version), description, sections=[section]), listener)


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


def _case(plan: FitPlan, parted: HeldOut, validation: Validation | None) -> CaseView:
    volume = (parted.validation if validation else parted.training)[0]
    working = plan.settings.resampled_to
    unit = working.unit if working else next(row.unit for row in plan.summary.rows if row.name == volume.name)
    z, y, x = volume.class_index.shape
    return CaseView(
        volume.name,
        volume.image,
        Grid((z, y, x), volume.spacing, unit=unit),
        plan.dataset.channel_names,
        plan.dataset.scheme,
        prediction=validation.first if validation else None,
        truth=volume.class_index if validation else None,
        annotation=None if validation else volume.class_index,
    )
