"""What a segmentation will do, for people and for machines."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_unet3d.api import SegmentationPlan

STATISTICS = {
    "moving": "those of training",
    "volume": "those of the whole volume",
    "current": "those of each tile",
}


def print_notes(note: Any, planned: SegmentationPlan) -> None:
    """The plan before the work.

    Args:
        note: prints a line.
        planned: what will be done.
    """
    if planned.resampled:
        note(planned.resampled)
    if planned.region:
        note(f"Region {planned.region}")
    note(f"{planned.plan}.")
    note(f"Computing in {planned.precision}; statistics of normalisation: {STATISTICS[planned.statistics]}.")
    if planned.done:
        note(f"Resuming: {planned.done:.0%} of the work was there already.")


def facts(planned: SegmentationPlan) -> dict[str, str]:
    """The plan alone, by the names of its parts."""
    from unet3d_cli.progress import duration

    from keras_unet3d.inference.budget import shown
    from keras_unet3d.volumes.axes import named

    plan, tiles = planned.plan, planned.plan.tiles
    number = "1" if len(tiles) == 1 else f"{len(tiles)} ({named(tiles.counts)})"
    slabs = f", {tiles.slab} planes at a time" if tiles.slab else ""
    twice = "nothing twice" if plan.overhead < 1.005 else f"{plan.overhead:.2f} times that of a single tile"
    plain = {
        "volume": named(tiles.volume),
        **({"resampled": planned.resampled} if planned.resampled else {}),
        **({"region": planned.region} if planned.region else {}),
        "tiles": f"{number} of {named(tiles.tile)}{slabs}",
        "work": f"{twice}; {plan.flop / prod(tiles.volume) / 1e6:.3g} million operations per voxel",
        "memory": f"{shown(plan.memory)} at the peak; {shown(plan.budget)} may be taken",
        "precision": planned.precision,
        "statistics": STATISTICS[planned.statistics],
    }
    if planned.seconds is not None:
        plain["time"] = f"about {duration(max(planned.seconds, 1))}"
    return plain


def as_json(planned: SegmentationPlan) -> dict[str, Any]:
    """The numbers of the plan; sizes by the names of their axes."""
    plan, tiles = planned.plan, planned.plan.tiles
    return {
        "volume": _by_axis(tiles.volume),
        "resampled": planned.resampled or None,
        "region": planned.region or None,
        "tiles": len(tiles),
        "counts": _by_axis(tiles.counts),
        "tile": _by_axis(tiles.tile),
        "slab": tiles.slab,
        "overhead": round(plan.overhead, 4),
        "flop": plan.flop,
        "memory_bytes": plan.memory,
        "budget_bytes": plan.budget,
        "seconds": None if planned.seconds is None else round(planned.seconds, 2),
        "precision": planned.precision,
        "statistics": planned.statistics,
        "done": round(planned.done, 4),
        "warnings": list(planned.warnings),
    }


def _by_axis(values: Sequence[int]) -> dict[str, int]:
    z, y, x = values
    return {"x": x, "y": y, "z": z}
