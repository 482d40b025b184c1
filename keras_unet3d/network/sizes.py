"""The arithmetic of sizes: what a 3D U-Net loses at its borders, and which lengths it can take.

Everything follows from the depth and from two 3×3×3 convolutions per level (Çiçek et al. 2016, figure 2). No other
module knows the numbers 4, 8, 16, 40, 44, 88 and 92.
"""

from dataclasses import dataclass
from typing import Literal

Padding = Literal["valid", "same"]

CONVOLUTIONS_LOSE = 4
"""Voxels that the two unpadded 3×3×3 convolutions of a level take from an axis."""


def lost_below(level: int, depth: int) -> int:
    """Voxels that an unpadded U-Net loses along an axis from `level` down and up again, counted at that level.

    The bottom loses what its two convolutions lose. A level above loses as much again, twice what the coarser level
    below it loses, and what its two convolutions on the way up lose: 4, 16, 40, 88 for a depth of 3.
    """
    if level == depth:
        return CONVOLUTIONS_LOSE
    return CONVOLUTIONS_LOSE + 2 * lost_below(level + 1, depth) + CONVOLUTIONS_LOSE


def skip_crop(level: int, depth: int) -> int:
    """Voxels to cut from each side of the skip at `level` so that it fits what comes up from below (4, 16, 40)."""
    return lost_below(level + 1, depth)


def padded_reach(depth: int) -> int:
    """Voxels from the end of a zero-padded input, at a multiple of 2^depth, that its zeros reach into the output.

    Two 3×3×3 convolutions reach 2 voxels at every level. A pooled voxel is reached if either of its two is, so this can
    be more than an unpadded network loses on that side, whose pooling grid begins 2 voxels later: 46 for a depth of 3.
    """
    reach = CONVOLUTIONS_LOSE // 2
    for _ in range(depth):
        reach = -(-reach // 2) + CONVOLUTIONS_LOSE // 2
    for _ in range(depth):
        reach = 2 * reach + CONVOLUTIONS_LOSE // 2
    return reach


@dataclass(frozen=True)
class Geometry:
    """Which lengths a U-Net takes along each axis, and what it returns.

    Attributes:
        padding: ``"valid"``: unpadded convolutions, as in the paper; ``"same"``: zero-padded ones.
        depth: number of poolings; 3 in the paper.
    """

    padding: Padding = "valid"
    depth: int = 3

    @property
    def multiple(self) -> int:
        """Input origins of two tiles must differ by multiples of this for their pooling grids to line up (8)."""
        return 1 << self.depth

    @property
    def margin(self) -> int:
        """Voxels that an axis loses from input to output (88 unpadded, 0 padded)."""
        return lost_below(0, self.depth) if self.padding == "valid" else 0

    @property
    def remainder(self) -> int:
        """A valid input length leaves this when divided by `multiple` (4 unpadded, 0 padded)."""
        return -CONVOLUTIONS_LOSE % self.multiple if self.padding == "valid" else 0

    @property
    def halo(self) -> int:
        """Voxels that a tile reads beyond what it writes, on each side, to give what the whole volume gives.

        44 unpadded. 48 padded: the reach of the zeros, 46, up to the next multiple, so that the pooling grid stays in
        place.
        """
        if self.padding == "valid":
            return lost_below(0, self.depth) // 2
        return _up(padded_reach(self.depth), self.multiple)

    @property
    def minimum(self) -> int:
        """The shortest valid input length (92 unpadded, 8 padded)."""
        return self.margin + 1 + (self.remainder - self.margin - 1) % self.multiple

    def is_valid(self, length: int) -> bool:
        """Whether the network takes an axis of this length."""
        return length >= self.minimum and length % self.multiple == self.remainder

    def nearest_valid(self, length: int) -> int:
        """The shortest valid input length that is not below `length`."""
        return self.minimum + _up(max(length - self.minimum, 0), self.multiple)

    def output_length(self, input_length: int) -> int:
        """Voxels that the network returns along one axis (Çiçek et al. 2016, figure 2).

        Raises:
            ValueError: where the network cannot take this length; the message names the next that it can.
        """
        if not self.is_valid(input_length):
            raise ValueError(
                f"A U-Net with {self.padding!r} padding and depth {self.depth} takes an axis of n voxels where n ≡ "
                f"{self.remainder} (mod {self.multiple}) and n ≥ {self.minimum}; the next is "
                f"{self.nearest_valid(input_length)}. Received: {input_length}"
            )
        return input_length - self.margin

    def input_length(self, output_length: int) -> int:
        """The shortest valid input whose output has at least `output_length` voxels."""
        return self.nearest_valid(output_length + self.margin)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
