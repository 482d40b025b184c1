"""Where the results of a volume go."""

from dataclasses import dataclass

from keras_unet3d.inference.excerpt import Excerpt
from keras_unet3d.inference.kept_work import KeptWork
from keras_unet3d.volumes.volume import Grid


@dataclass(frozen=True, eq=False)
class Delivery:
    """Where the results of a volume go, and with whom they are made.

    Attributes:
        kept: the folder that results are written to as they are made, with what is there of them already; None keeps
            them in memory.
        grid: of the same place, that results are resampled to; None is that of the volume.
        excerpt: whose volume and grid these are, where results are wanted of a region.
        results_count: whether the budget has to suffice for results in memory, too.
        workers: processes that would share the volume in blocks, where nothing is kept.
    """

    kept: KeptWork | None = None
    grid: Grid | None = None
    excerpt: Excerpt | None = None
    results_count: bool = False
    workers: int | None = None


HELD = Delivery()
"""By this process, on the grid of the volume, in memory that is not counted."""
