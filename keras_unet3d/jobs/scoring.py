"""A network that has just been trained, scored as it will be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet3d.jobs.segmenting import segment
from keras_unet3d.metrics import Overlap

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

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
        kept: a file for the class indices of the first case, ``found`` in an ``.npz``.

    Returns:
        By the name of the case.
    """
    from keras_unet3d.inference.options import SegmentOptions
    from keras_unet3d.serving.export import served_network
    from keras_unet3d.serving.saved_model import LoadedModel

    model = LoadedModel(folder, description, served_network(network, description))
    scheme, options = description.scheme, SegmentOptions(precision="float32")
    overlaps: dict[str, Overlap] = {}
    for case in cases:
        found = scheme.class_index(segment(case.image, model=model, options=options).labels.voxels)
        if kept is not None and not overlaps:
            np.savez_compressed(kept, found=found)
        overlaps[case.name] = Overlap.of(case.class_index, found, scheme.classes)
    return overlaps
