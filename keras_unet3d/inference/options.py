"""What may be asked of a segmentation, readable without TensorFlow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from keras_unet3d.errors import InputError
from keras_unet3d.inference.postprocessing import PostProcessing
from keras_unet3d.network.work import Precision
from keras_unet3d.volumes.region import Region


@dataclass(frozen=True)
class SegmentOptions:
    """What may be asked of a segmentation.

    Attributes:
        memory: bytes that the process may take; None decides.
        precision: ``"auto"`` is bfloat16 where it is faster and was seen to agree.
        statistics: for a model that normalises by the statistics of what it is given: ``"volume"``, of the whole
            volume, or ``"current"``, of each tile.
        mirrored: average over the tile mirrored along every combination of the axes that training mirrored.
        probabilities: where class probabilities are written, as channels; True only returns them.
        uncertainty: where the entropy of the class probabilities is written: 0 is sure, 1 is undecided.
        report: where a page to judge the result by is written: slices, a 3D view, volumes, uncertainty.
        post_processing: of the labels.
        resume: go on with what a killed segmentation into the same output has done.
        region: the part that is segmented, as it is in the whole; None is all.
        level: of an OME-Zarr image, 0 for the finest; None takes what the path names, else the finest.

    Raises:
        InputError: if a value is none of those.
    """

    memory: int | None = None
    precision: Precision | Literal["auto"] = "auto"
    statistics: Literal["volume", "current"] = "volume"
    mirrored: bool = False
    probabilities: str | Path | Literal[True] | None = None
    uncertainty: str | Path | None = None
    report: str | Path | None = None
    post_processing: PostProcessing = field(default_factory=PostProcessing)
    resume: bool = False
    region: Region | None = None
    level: int | None = None

    @property
    def computes_uncertainty(self) -> bool:
        """Whether it is needed for anything."""
        return self.uncertainty is not None or self.report is not None

    def __post_init__(self) -> None:
        if self.precision not in {"auto", "float32", "bfloat16"}:
            raise InputError(f"Expected precision 'auto', 'float32' or 'bfloat16'. Received: {self.precision!r}")
        if self.statistics not in {"volume", "current"}:
            raise InputError(f"Expected statistics 'volume' or 'current'. Received: {self.statistics!r}")
        if self.memory is not None and self.memory < 1:
            raise InputError(f"Expected bytes of memory above 0. Received: {self.memory}")
        if self.level is not None and self.level < 0:
            raise InputError(f"Levels are counted from 0, the finest. Received: {self.level}")
