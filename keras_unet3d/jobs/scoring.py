"""A network that has just been trained, scored as it will be used."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet3d.evaluation.case_view import steps_of_uncertainty
from keras_unet3d.jobs.segmenting import segment
from keras_unet3d.metrics import Overlap
from keras_unet3d.volumes import read_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keras_unet3d.annotation.cases import AnnotatedCase
    from keras_unet3d.serving.description import ModelDescription


def score_network(
    network: Any, description: ModelDescription, folder: Path, cases: Iterable[AnnotatedCase], kept: Path | None = None
) -> dict[str, Overlap]:
    """Segment cases with a network as `segment` does with its export, in float32, and compare at labelled voxels.

    Args:
        network: as trained.
        description: of the model that it will be.
        folder: that messages name.
        cases: raw images with the labels to score on; one is held in memory at a time.
        kept: a file for the case that it does worst, an ``.npz``: ``name``, ``found`` (class indices), ``steps`` (of
            uncertainty). None keeps nothing.

    Returns:
        By the name of the case.
    """
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.serving.export import served_network
    from keras_unet3d.serving.saved_model import LoadedModel

    model = LoadedModel(folder, description, served_network(network, description))
    scheme = description.scheme
    overlaps: dict[str, Overlap] = {}
    worst = np.inf
    for case in cases:
        if kept is None:
            options = SegmentOptions(precision="float32")
            found = scheme.class_index(segment(case.image, model=model, options=options).labels.voxels)
            overlaps[case.name] = Overlap.of(case.class_index, found, scheme.classes)
            continue
        with TemporaryDirectory(dir=kept.parent) as scratch:
            labels, unsure = Path(scratch) / "labels.nii", Path(scratch) / "uncertainty.nii"
            segment(case.image, labels, model=model, options=SegmentOptions(precision="float32", uncertainty=unsure))
            found = scheme.class_index(read_labels(labels).voxels)
            overlaps[case.name] = overlap = Overlap.of(case.class_index, found, scheme.classes)
            if overlap.mean_iou < worst:
                worst = overlap.mean_iou
                steps = steps_of_uncertainty(read_image(unsure).voxels[..., 0])
                np.savez_compressed(kept, name=case.name, found=found, steps=steps)
    return overlaps
