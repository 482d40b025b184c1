"""Cases that a model segments and that are compared with what is known of them, one at a time, for a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_unet3d.evaluation.calibration import Calibration
from keras_unet3d.evaluation.case_view import CaseView, steps_of_uncertainty
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.page import Section
from keras_unet3d.evaluation.score_sections import calibration_section, case_section, score_section, seen_before
from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.evaluation.tables import score_text
from keras_unet3d.evaluation.volume_view import MOST_VOXELS, VolumeView, views_html
from keras_unet3d.jobs.evaluating import scored
from keras_unet3d.jobs.segmenting import segment
from keras_unet3d.metrics import CaseScores, Overlap, Ruler, Scores, ScoreTable
from keras_unet3d.volumes import read_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from keras_unet3d.serving.saved_model import LoadedModel
    from keras_unet3d.volumes import Volume


@dataclass(frozen=True, eq=False)
class KnownCase:
    """A case, and what is known of it.

    Attributes:
        name: of the case.
        image: raw ``(z, y, x, channel)``.
        truth: class indices in the model's scheme ``(z, y, x)``, `UNLABELED` where there is no label.
        annotation: what training saw, where it is not the truth.
    """

    name: str
    image: Volume
    truth: NDArray[np.int16]
    annotation: NDArray[np.int16] | None = None


class CaseStudy:
    """Segments and scores cases, and shows some of them. It holds one case in memory at a time.

    Args:
        model: that segments.
        folder: for what is kept of each case until the worst is known.
        truth_name: what the truth is called.
    """

    def __init__(self, model: LoadedModel, folder: Path, truth_name: str = "Annotation") -> None:
        self._model, self._folder, self._truth_name = model, folder, truth_name
        self._scheme = model.description.scheme
        self._cases: list[CaseScores] = []
        self._calibration = Calibration.none()

    @property
    def scores(self) -> ScoreTable:
        """Of all cases so far."""
        return ScoreTable(self._cases, self._scheme)

    def add(self, case: KnownCase, output: Path | None = None) -> tuple[str, ...]:
        """Segment a case and score it; returns what the user should know of that.

        Args:
            case: is not held.
            output: where its label map goes; None keeps it no longer than this study.
        """
        from keras_unet3d.inference.options import SegmentOptions

        unsure = self._folder / "uncertainty.nii"
        labels = output or self._folder / "labels.nii"
        segmented = segment(case.image, labels, model=self._model, options=SegmentOptions(uncertainty=unsure))
        found = self._scheme.class_index(read_labels(labels).voxels)
        steps = steps_of_uncertainty(read_image(unsure).voxels[..., 0])
        self._calibration += Calibration.of(case.truth, found, steps)
        np.savez_compressed(self._kept(len(self._cases)), found=found, steps=steps)
        self._cases.append(self._scored(case, found))
        return segmented.warnings

    def sections(self, load: Callable[[int], KnownCase]) -> list[Section]:
        """Scores, all cases, and the worst, the median and the best of them in pictures.

        Args:
            load: gives a case by its number, as it was added.
        """
        scores = self.scores
        training = self._model.description.training
        chosen = self._chosen(scores)
        notice = seen_before(scores.cases, training)
        score = score_section(scores)
        sections = [Section(score.heading, [*([notice] if notice else []), *score.parts])]
        if len(scores.cases) > 1:
            sections.append(case_section(scores, training.get("learned_from") or (), list(chosen)))
        browsers: list[Html] = []
        views = []
        numbers = {case.name: number for number, case in enumerate(self._cases)}
        for name, why in chosen.items():
            view = self._view(load(numbers[name]), numbers[name])
            heading = [element("h3", f"{name}: {why}")] if len(chosen) > 1 else []
            legend = [] if browsers else [slice_legend(view)]
            browsers += [*legend, *heading, slice_browser(view)]
            views.append(VolumeView.of(view, MOST_VOXELS // len(chosen)))
        sections.append(Section("Slices", browsers))
        sections.append(Section("From all sides", [views_html(views)]))
        sections.append(calibration_section(self._calibration))
        return sections

    def _scored(self, case: KnownCase, found: NDArray[np.int16]) -> CaseScores:
        """With distances in the unit of the cases before it, as they have a mean only then."""
        unit = self.scores.unit
        ruler = Ruler.of([case.image.grid], unit=unit)
        if not unit or ruler.unit == unit:
            return scored(case.name, case.truth, found, self._scheme, lambda: ruler)
        overlap = Overlap.of(case.truth, found, self._scheme.classes)
        reason = (
            f"Distances of {case.name} are not measured: its voxels are in {ruler.unit}, those of others in {unit}."
        )
        return CaseScores(case.name, overlap, Scores.of(overlap, self._scheme, not_measured=reason))

    def _chosen(self, scores: ScoreTable) -> dict[str, str]:
        """The names of the cases to show, and why each is."""
        count = len(scores.cases)
        places = {count // 2: "the median", count - 1: "the best", 0: "the worst"}  # of two cases none is the median
        return {
            scores.cases[place].name: f"{places[place]} of {count} cases, "
            f"mean Dice {score_text(scores.cases[place].scores.mean_dice)}"
            for place in sorted(places)
        }

    def _view(self, case: KnownCase, number: int) -> CaseView:
        with np.load(self._kept(number)) as kept:
            found, steps = kept["found"], kept["steps"]
        return CaseView(
            case.name,
            case.image.voxels,
            case.image.grid,
            self._model.description.channels,
            self._scheme,
            found,
            case.truth,
            self._truth_name,
            case.annotation,
            steps,
        )

    def _kept(self, number: int) -> Path:
        return self._folder / f"{number}.npz"
