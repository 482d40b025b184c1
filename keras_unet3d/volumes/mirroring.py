"""Mirroring about the border voxel, for any length: the one rule for everything that lies outside a volume."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def fold(index: Any, length: Any) -> Any:
    """Fold any index into ``0 … length - 1``, mirrored about the border voxels as often as needed.

    This is NumPy's ``reflect`` without its limits: a single voxel repeats, and an index may lie many lengths outside.
    Written with operators alone, so that integers, NumPy arrays and the tensors of any backend can be folded.

    Args:
        index: integer or integers, anywhere.
        length: voxels along the axis, at least 1.
    """
    last = length - 1
    period = 2 * last + 1 // length  # 2 (n - 1), and 1 for a single voxel
    return last - abs(index % period - last)


def mirrored_range(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Indices that read ``start … stop - 1`` of an axis of `length` voxels, mirrored where that lies outside."""
    return np.asarray(fold(np.arange(start, stop), length), dtype=np.intp)


def mirrored_runs(start: int, stop: int, length: int) -> list[tuple[slice, slice]]:
    """The same in pieces that lie side by side: where each goes, counted from `start`, and where it is read.

    Slices are copied ten times as fast as indices. Of an axis of one voxel the one piece is that voxel, to be repeated.
    """
    places = mirrored_range(start, stop, length)
    cuts = [0, *(np.flatnonzero(np.diff(places, 2)) + 2), len(places)] if len(places) else []
    return [(slice(first, after), _slice(places[first], places[after - 1])) for first, after in pairwise(cuts)]


def _slice(first: int, last: int) -> slice:
    step = 1 if last >= first else -1
    after = int(last) + step
    return slice(int(first), after if after >= 0 else None, step)
