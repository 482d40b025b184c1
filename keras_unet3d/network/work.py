"""The arithmetic of work and memory: what a 3D U-Net computes for a tile, and what it holds meanwhile.

Lengths may be integers or arrays of them, so that many tiles can be compared at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from operator import floordiv, mul, sub
from typing import Any, Literal

import numpy as np

from keras_unet3d.network.sizes import Geometry

Precision = Literal["float32", "bfloat16"]
BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2}

Lengths = tuple[Any, Any, Any]
"""Voxels along z, y, x."""


@dataclass(frozen=True)
class Layer:
    """A convolution for one tile.

    Attributes:
        level: of the U-Net, 0 for the finest.
        read: lengths of its input.
        written: lengths of its output.
        inputs: channels it reads.
        outputs: channels it writes.
        taps: weights between two channels that one output voxel needs: 27, 9 in 2D, or 1, as of a transposed
            convolution.
        weights: numbers that it holds, biases left out.
        joined: channels of the skip among its inputs.
    """

    level: int
    read: Lengths
    written: Lengths
    inputs: int
    outputs: int
    taps: int
    weights: int
    joined: int = 0

    @property
    def flop(self) -> Any:
        """Floating-point operations; a multiplication and an addition are two."""
        return 2.0 * self.taps * self.inputs * self.outputs * _voxels(self.written)

    @property
    def looks_around(self) -> bool:
        """Whether it is one of the convolutions of a level, which a normalisation may follow."""
        return self.taps > 1


@dataclass(frozen=True)
class NetworkSize:
    """What decides how much a network computes and holds.

    Attributes:
        geometry: padding, depth, dimensions, and the axes that levels pool along.
        filters: channels after the first convolution.
        channels: of the image.
        classes: to tell apart.
    """

    geometry: Geometry
    filters: int
    channels: int
    classes: int

    def layers(self, tile: Lengths) -> Iterator[Layer]:
        """The convolutions for a tile, in their order (Çiçek et al. 2016, figure 2)."""
        z, y, x = (axis.lost // 2 if axis.padding == "valid" else 0 for axis in self.geometry.axes)
        loses: Lengths = (z, y, x)
        taps = prod(axis.kernel for axis in self.geometry.axes)
        depth = self.geometry.depth
        lengths, channels = tile, self.channels

        def convolution(level: int, outputs: int, joined: int = 0) -> Layer:
            nonlocal lengths, channels
            read, inputs = lengths, channels
            lengths, channels = _each(sub, read, loses), outputs
            return Layer(level, read, lengths, inputs, outputs, taps, taps * inputs * outputs, joined)

        for level in range(depth + 1):
            yield convolution(level, self.filters << level)
            yield convolution(level, self.filters << (level + 1))
            if level < depth:
                lengths = _each(floordiv, lengths, self.geometry.factors(level))
        for level in reversed(range(depth)):
            wide, factors = self.filters << (level + 1), self.geometry.factors(level)
            read, lengths = lengths, _each(mul, lengths, factors)
            yield Layer(level, read, lengths, channels, channels, 1, prod(factors) * channels**2)
            channels += wide
            yield convolution(level, wide, joined=wide)
            yield convolution(level, wide)
        yield Layer(0, lengths, lengths, channels, self.classes, 1, channels * self.classes)

    @property
    def weights(self) -> int:
        """Numbers that the convolutions hold, biases left out."""
        z, y, x = (axis.minimum for axis in self.geometry.axes)
        return sum(layer.weights for layer in self.layers((z, y, x)))

    def flop(self, tile: Lengths) -> Any:
        """Floating-point operations for a tile."""
        return sum(layer.flop for layer in self.layers(tile))

    def flop_until(self, tile: Lengths, number: int) -> Any:
        """Operations for a tile up to the normalisation of a number, 0 for the first."""
        total: Any = 0
        for layer in self.layers(tile):
            total = total + layer.flop
            number -= layer.looks_around
            if number < 0:
                break
        return total

    def held_whole(self, tile: Lengths) -> Any:
        """Numbers held at the worst moment where every layer is computed for the whole tile at once."""
        skips: list[Any] = []
        worst: Any = 0
        for layer in self.layers(tile):
            if layer.joined:
                skips.pop()  # it is part of what is read now
            now = _voxels(layer.read) * layer.inputs + _voxels(layer.written) * layer.outputs
            worst = np.maximum(worst, sum(skips) + now)
            if layer.level < self.geometry.depth and layer.outputs == 2 * layer.inputs and not layer.joined:
                skips.append(_voxels(self._skip(layer)) * layer.outputs)
        return worst

    def held_streamed(self, tile: Lengths, slab: Any) -> tuple[Any, Any]:
        """Numbers held where the planes of a tile come in slabs: all the time, and by the step that takes most.

        Args:
            tile: lengths of the tile; that along z has no influence.
            slab: planes that come at a time, a multiple of that of the z axis.
        """
        along_z = self.geometry.axes[0]
        scale = along_z.scale
        stays: Any = 0
        worst: Any = 0
        for layer in self.layers(tile):
            planes = slab / scale(layer.level)
            (_, *read), (_, *written) = layer.read, layer.written
            area_read, area_written = read[0] * read[1], written[0] * written[1]
            overlap = along_z.kernel - 1 if layer.looks_around else 0
            stays = stays + overlap * area_read * layer.inputs
            comes_up = not layer.looks_around and layer.read is not layer.written
            read_planes = slab / scale(layer.level + comes_up)
            copies = 2 if layer.looks_around and along_z.padding == "same" else 1  # one of them with zeros around
            now = copies * (read_planes + overlap) * area_read * layer.inputs + planes * area_written * layer.outputs
            if layer.joined:  # both parts are there while they are joined
                now = np.maximum(now, 2 * planes * area_read * layer.inputs)
                waiting = self._delay(layer.level) + planes
                stays = stays + waiting * area_read * layer.joined
            worst = np.maximum(worst, now)
        return stays, worst

    def held_training(self, tile: Lengths, *, normalized: bool, recompute: bool) -> Any:
        """Numbers held at the worst moment of a training step, weights left out.

        Args:
            tile: lengths of the tile.
            normalized: whether a normalisation stands between each convolution and its ReLU.
            recompute: whether levels are computed again when their gradients are due; see `training_forward`.
        """
        outputs = 2 if normalized else 1  # of a convolution and its normalisation, and of the ReLU
        between: Any = 0
        inside: Any = 0
        worst: Any = 0
        convolutions = (layer for layer in self.layers(tile) if layer.looks_around)
        for number, layer in enumerate(convolutions):
            read, written = _voxels(layer.read) * layer.inputs, _voxels(layer.written) * layer.outputs
            begins = number % 2 == 0  # two at each level
            if recompute:
                between, inside = between + begins * read, (0 if begins else inside) + written
                now = np.maximum(2 * written, read if begins else 2 * read)
            else:
                inside = inside + begins * read + outputs * written
                now = np.maximum(written, read - written)
            worst = np.maximum(worst, between + inside + now)
        return worst

    def _delay(self, level: int) -> int:
        """Planes of a level's skip that wait until what comes from below has caught up."""
        z, *_ = self.geometry.axes
        if z.padding == "valid":
            return z.skip_crop(level)
        return z.halo // z.scale(level)  # zeros reach as far as an unpadded network looks, and a little further

    def _skip(self, layer: Layer) -> Lengths:
        """What is kept of a level's output for the way up."""
        if self.geometry.padding == "same":
            return layer.written
        z, y, x = (2 * axis.skip_crop(layer.level) for axis in self.geometry.axes)
        return _each(sub, layer.written, (z, y, x))


def _voxels(lengths: Lengths) -> Any:
    z, y, x = lengths
    return 1.0 * z * y * x


def _each(change: Callable[..., Any], *lengths: Lengths) -> Lengths:
    z, y, x = map(change, *lengths)
    return z, y, x
