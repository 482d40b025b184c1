"""`demo`: the whole story on the phantom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from keras_unet3d.annotation import read_dataset
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.fitting import fit
from keras_unet3d.jobs.models import load_model
from keras_unet3d.volumes import read_image, read_labels

if TYPE_CHECKING:
    from keras_unet3d.metrics import Scores
    from keras_unet3d.training.listener import Listener


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What `demo` leaves.

    Attributes:
        data: the phantom, a dataset.
        model: the exported version.
        segmented: folder of the dense label maps.
        report: an HTML file.
        scores: against the hidden truth, all volumes together.
    """

    data: Path
    model: Path
    segmented: Path
    report: Path
    scores: Scores


def demo(
    folder: str | Path = "demo",
    *,
    minutes: float | None = None,
    steps: int | None = None,
    listener: Listener | None = None,
) -> Demonstration:
    """Tell the whole story on the phantom: annotated slices → training → dense segmentation → score → report.

    Args:
        folder: for everything; what an earlier demo left there is replaced, and nothing else is touched.
        minutes: of `fit`; `keras_unet3d.evaluation.demonstration.MINUTES` unless `steps` are given.
        steps: of training instead.
        listener: told what happens.

    Raises:
        InputError: if the folder holds what no demo made, or several workers run it.
        WorkError: if the work fails.
    """
    from keras_unet3d.evaluation.demonstration import SHAPE, clear_folder, demo_settings, introduction
    from keras_unet3d.evaluation.model_page import model_page
    from keras_unet3d.evaluation.page import write_page
    from keras_unet3d.jobs.case_study import CaseStudy, KnownCase
    from keras_unet3d.phantom import write_phantom_dataset
    from keras_unet3d.training.crew import count_devices
    from keras_unet3d.training.listener import Quiet

    if count_devices("one") > 1:
        raise InputError("The demo runs on one worker: unset TF_CONFIG, and start it without srun.")
    listener = listener or Quiet()
    settings = demo_settings(minutes, steps)
    folder = clear_folder(folder)
    listener.say("Making synthetic kidneys, and keeping the annotation of some slices …")
    data = write_phantom_dataset(folder / "data", SHAPE)
    fitted = fit(
        data, settings, name="kidney-phantom", models=folder / "models", runs=folder / "runs", listener=listener
    )

    listener.say("Segmenting every voxel …")
    segmented = folder / "segmented"
    segmented.mkdir()
    exported = cast("Path", fitted.model)  # by the only worker
    model = load_model(exported)
    scheme = model.description.scheme
    cases = read_dataset(data).cases

    def known(number: int) -> KnownCase:
        files = cases[number].images
        truth, annotation = (
            scheme.class_index(read_labels(data / part / files[0].name).voxels) for part in ("truth", "labels")
        )
        return KnownCase(cases[number].name, read_image(files), truth, annotation)

    with TemporaryDirectory(prefix="unet3d_") as place:
        study = CaseStudy(model, Path(place), truth_name="Truth")
        for number, case in enumerate(cases):
            study.add(known(number), segmented / case.images[0].name)
        sections, scores = study.sections(known), study.scores
    page = folder / "report.html"
    lead = introduction(fitted.steps, fitted.minutes)
    write_page(page, model_page("3D U-Net on synthetic kidneys", model.description, sections, scores, lead))
    return Demonstration(data, exported, segmented, page, scores.pooled)
