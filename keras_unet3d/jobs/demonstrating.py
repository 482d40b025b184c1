"""`demo`: the whole story on the phantom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from keras_unet3d.annotation import read_dataset
from keras_unet3d.errors import InputError
from keras_unet3d.jobs.fitting import fit
from keras_unet3d.jobs.models import load_model
from keras_unet3d.jobs.segmenting import segment
from keras_unet3d.volumes import read_image, read_labels

if TYPE_CHECKING:
    from pathlib import Path

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
    from keras_unet3d.evaluation.comparison import Comparison, scores_of_all, write_comparison
    from keras_unet3d.evaluation.demonstration import SHAPE, clear_folder, demo_settings, introduction
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
    comparisons = []
    for case in read_dataset(data).cases:
        image = read_image(case.images)
        labels = segment(image, segmented / case.images[0].name, model=model).labels
        annotation, truth = (read_labels(data / part / case.images[0].name) for part in ("labels", "truth"))
        maps = (scheme.class_index(each.voxels) for each in (annotation, labels, truth))
        comparisons.append(Comparison(case.name, image, *maps))
    report = folder / "report.html"
    write_comparison(
        report, "3D U-Net on synthetic kidneys", introduction(fitted.steps, fitted.minutes), comparisons, scheme
    )
    return Demonstration(data, exported, segmented, report, scores_of_all(comparisons, scheme))
