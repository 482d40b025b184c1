"""The arithmetic of sizes: what a 3D U-Net loses at its borders, and which lengths it can take.

Everything follows from the depth, from two 3×3×3 convolutions per level (Çiçek et al. 2016, figure 2), and from the
axes that a level pools along. A 2D network is one whose convolutions are 1×3×3, and that never pools along z. No other
module knows the numbers 4, 8, 16, 40, 44, 88 and 92.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Triple

Padding = Literal["valid", "same"]

Dimensions = Literal[2, 3]

PAPER_DEPTH = 3
"""Levels that end with a pooling, in the paper."""
KERNEL = 3
"""Voxels that a convolution sees along an axis."""


@dataclass(frozen=True)
class AxisGeometry:
    """Which lengths a U-Net takes along one axis, and what it returns.

    Numbers in brackets are those of the paper's network, or of one as deep that is zero-padded.

    Attributes:
        padding: ``"valid"``: unpadded convolutions, as in the paper; ``"same"``: zero-padded ones.
        depth: number of levels that end with a pooling; 3 in the paper.
        unpooled: how many of them, from the finest on, do not pool along this axis; 0 in the paper.
        kernel: voxels that each convolution sees along it: 3, or 1 across the slices of a 2D network.
    """

    padding: Padding = "valid"
    depth: int = PAPER_DEPTH
    unpooled: int = 0
    kernel: int = KERNEL

    @property
    def lost(self) -> int:
        """Voxels that the two unpadded convolutions of a level take (4)."""
        return 2 * (self.kernel - 1)

    def factor(self, level: int) -> int:
        """How many voxels of a level become one by its pooling: 2, or 1 where it does not pool along this axis."""
        return 1 if level < self.unpooled else 2

    def scale(self, level: int) -> int:
        """How many voxels of the input lie along one of a level (1, 2, 4, 8)."""
        return 1 << max(level - self.unpooled, 0)

    def lost_below(self, level: int) -> int:
        """Voxels that an unpadded U-Net loses from `level` down and up again, counted at that level.

        The bottom loses what its two convolutions lose. A level above loses as much again, what the level below it
        loses as often as it is coarser, and what its two convolutions on the way up lose (4, 16, 40, 88).
        """
        if level == self.depth:
            return self.lost
        return self.lost + self.factor(level) * self.lost_below(level + 1) + self.lost

    def skip_crop(self, level: int) -> int:
        """Voxels to cut from each side of the skip at `level` so that it fits what comes up from below (4, 16, 40)."""
        return self.factor(level) * self.lost_below(level + 1) // 2

    @property
    def padded_reach(self) -> int:
        """Voxels from the end of a zero-padded input, at a multiple of `multiple`, that its zeros reach (46).

        Two 3×3×3 convolutions reach 2 voxels at every level. A pooled voxel is reached if any of those is that it was
        pooled from, so this can be more than an unpadded network loses on that side, whose pooling grid begins 2 voxels
        later.
        """
        reach = self.lost // 2
        for level in range(self.depth):
            reach = -(-reach // self.factor(level)) + self.lost // 2
        for level in reversed(range(self.depth)):
            reach = self.factor(level) * reach + self.lost // 2
        return reach

    @property
    def multiple(self) -> int:
        """Input origins of two tiles must differ by multiples of this for their pooling grids to line up (8)."""
        return self.scale(self.depth)

    @property
    def margin(self) -> int:
        """Voxels that the axis loses from input to output (88 unpadded, 0 padded)."""
        return self.lost_below(0) if self.padding == "valid" else 0

    @property
    def remainder(self) -> int:
        """A valid input length leaves this when divided by `multiple` (4 unpadded, 0 padded).

        What the convolutions of each level above the bottom take is gone before the last pooling.
        """
        if self.padding == "same":
            return 0
        return sum(self.lost * self.scale(level) for level in range(self.depth)) % self.multiple

    @property
    def halo(self) -> int:
        """Voxels that a tile reads beyond what it writes, on each side, to give what the whole volume gives.

        44 unpadded. 48 padded: the reach of the zeros, 46, up to the next multiple, so that the pooling grid stays in
        place.
        """
        if self.padding == "valid":
            return self.lost_below(0) // 2
        return _up(self.padded_reach, self.multiple)

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
        """Voxels that the network returns along the axis (Çiçek et al. 2016, figure 2).

        Raises:
            ValueError: where the network cannot take this length; the message names the next that it can.
        """
        if not self.is_valid(input_length):
            pooled = f", not pooled in {self.unpooled} of its levels," if self.unpooled else ""
            raise ValueError(
                f"A U-Net with {self.padding!r} padding and depth {self.depth} takes an axis{pooled} of n voxels where "
                f"n ≡ {self.remainder} (mod {self.multiple}) and n ≥ {self.minimum}; the next is "
                f"{self.nearest_valid(input_length)}. Received: {input_length}"
            )
        return input_length - self.margin

    def input_length(self, output_length: int) -> int:
        """The shortest valid input whose output has at least `output_length` voxels."""
        return self.nearest_valid(output_length + self.margin)


@dataclass(frozen=True)
class Geometry:
    """Which tiles a U-Net takes, and what it returns.

    Where voxels are farther apart along one axis than along the others, the first levels pool along the others only.

    Attributes:
        padding: ``"valid"``: unpadded convolutions, as in the paper; ``"same"``: zero-padded ones.
        depth: number of levels that end with a pooling; 3 in the paper.
        unpooled: how many of them, from the finest on, do not pool along z, y and x; none in the paper. With (1, 0, 0)
            the first pooling is 1×2×2 and the others are 2×2×2.
        dimensions: 3; or 2, where each slice orthogonal to z is seen alone, and no level pools along z.

    Raises:
        ValueError: if an axis is to be left out by more levels than there are.
    """

    padding: Padding = "valid"
    depth: int = PAPER_DEPTH
    unpooled: Triple = (0, 0, 0)
    dimensions: Dimensions = 3

    def __post_init__(self) -> None:
        if self.dimensions == 2:
            object.__setattr__(self, "unpooled", (self.depth, *self.unpooled[1:]))
        if not all(0 <= levels <= self.depth for levels in self.unpooled):
            raise ValueError(
                f"Expected 0 to {self.depth} levels that do not pool along an axis, of a network of depth "
                f"{self.depth}. Received: {named(self.unpooled)}"
            )

    @cached_property
    def axes(self) -> tuple[AxisGeometry, AxisGeometry, AxisGeometry]:
        """The arithmetic along z, y and x."""
        kernels = (1 if self.dimensions == 2 else KERNEL, KERNEL, KERNEL)
        z, y, x = (
            AxisGeometry(self.padding, self.depth, unpooled, kernel)
            for unpooled, kernel in zip(self.unpooled, kernels, strict=True)
        )
        return z, y, x

    def factors(self, level: int) -> Triple:
        """Voxels along z, y, x that the pooling of a level makes one of: (2, 2, 2) in the paper."""
        z, y, x = (axis.factor(level) for axis in self.axes)
        return z, y, x

    @property
    def margins(self) -> Triple:
        """Voxels that z, y and x lose from input to output."""
        z, y, x = (axis.margin for axis in self.axes)
        return z, y, x

    @property
    def coarsest(self) -> int:
        """The multiple of the axis that is pooled most (8), which is one of every axis."""
        return max(axis.multiple for axis in self.axes)

    def takes(self, tile: Triple) -> bool:
        """Whether the network takes a tile of these lengths along z, y, x."""
        return all(axis.is_valid(length) for axis, length in zip(self.axes, tile, strict=True))

    def output_lengths(self, tile: Triple) -> Triple:
        """Voxels along z, y, x that the network returns for a tile.

        Raises:
            ValueError: as `AxisGeometry.output_length`.
        """
        z, y, x = (axis.output_length(length) for axis, length in zip(self.axes, tile, strict=True))
        return z, y, x


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
