"""Mirroring about the border voxel, for any length: the one rule for everything that lies outside a volume."""

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
