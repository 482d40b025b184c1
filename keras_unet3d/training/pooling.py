"""How many levels pool, and which axes the first of them pool along, from how far apart and how many voxels are."""

from collections.abc import Sequence

from keras_unet3d.network.sizes import PAPER_DEPTH
from keras_unet3d.volumes.axes import AXES

COARSER = 1.9
"""So many times as far apart as along the finest axis, voxels count as twice as far: headers are not exact."""
FEWEST = 4
"""Voxels that the bottom has along an axis, at least."""


def choose_depth(typical: Sequence[int]) -> tuple[int, str]:
    """How many levels end with a pooling: as many as the paper's, or as leave the longest axis 4 voxels.

    Args:
        typical: voxels of a volume along z, y, x, or along y and x, for a 2D network.
    """
    depth = max(1, *(_poolings(length, PAPER_DEPTH) for length in typical))
    if depth == PAPER_DEPTH:
        return depth, "levels that pool, as in the paper"
    return depth, f"levels that pool; one more would leave fewer than {FEWEST} of the {max(typical)} voxels"


def choose_unpooled(typical: Sequence[int], spacing: Sequence[float], depth: int) -> tuple[tuple[int, ...], str]:
    """How many levels, from the finest on, leave an axis unpooled, and why.

    After nnU-Net (Isensee et al. 2021, Nature Methods 18, network topology; `get_pool_and_conv_props` of its code): a
    level pools along the axes whose voxels are by then less than twice as far apart as along the finest, so that they
    become about as long as wide; and along none that would have fewer than 4 voxels then. Here an axis that was pooled
    once is pooled at every coarser level, so that a short one begins late, where nnU-Net lets it end early.

    An axis with the most voxels is pooled at every level: whether a network is too deep is for `choose_depth`.

    Args:
        typical: voxels of a volume along z, y, x, or along y and x, for a 2D network.
        spacing: distance between voxel centres along the same axes.
        depth: of the network.

    Returns:
        Levels along these axes, and a reason for people.
    """
    too_short = [depth - _poolings(length, depth) for length in typical]
    short = [levels - min(too_short) for levels in too_short]
    finest = min(distance for distance, levels in zip(spacing, short, strict=True) if not levels)
    coarse = [_levels_until_alike(distance / finest, depth) for distance in spacing]
    reasons = []
    axes = AXES[-len(typical) :]
    for axis, name in enumerate(axes):
        if coarse[axis] and coarse[axis] >= short[axis]:
            ratio = spacing[axis] / finest
            reasons.append(f"along {name} voxels are {ratio:.2g} times as far apart as along the finest axis")
        elif short[axis]:
            reasons.append(f"{typical[axis]} voxels along {name} are too few to be pooled {depth} times")
    why = "; ".join(reversed(reasons)) or "no axis has voxels twice as far apart, or far fewer of them, than another"
    return tuple(map(max, coarse, short)), f"levels, from the finest on, that do not pool along an axis: {why}"


def _levels_until_alike(ratio: float, depth: int) -> int:
    levels = 0
    while levels < depth and ratio / 2**levels >= COARSER:
        levels += 1
    return levels


def _poolings(length: int, depth: int) -> int:
    """How often an axis can be pooled; what a zero-padded network mirrors up to a multiple counts."""
    poolings = 0
    while poolings < depth and -(-length // 2 ** (poolings + 1)) >= FEWEST:
        poolings += 1
    return poolings
