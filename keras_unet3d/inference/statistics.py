"""Normalisation by the statistics of a whole volume, without seams: `current` statistics that no tile border changes.

A tile's own moments differ from its neighbour's. Here those of each normalisation are gathered over all tiles, one
normalisation after the other, so that each is fed by features that the ones before it have normalised as they finally
will; gathered all at once they would depend on the tiles.
"""

from collections.abc import Callable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.inference.moments import Fixed, MomentSum
from keras_unet3d.inference.network_predictor import NetworkPredictor
from keras_unet3d.inference.slabs import read_ahead
from keras_unet3d.inference.tiles import TilePlan
from keras_unet3d.network.work import NetworkSize
from keras_unet3d.volumes.voxels import Voxels


class MomentPasses:
    """The passes over a volume that fix one normalisation each, in order."""

    def __init__(
        self,
        image: Voxels,
        predictor: NetworkPredictor,
        plan: TilePlan,
        size: NetworkSize,
        *,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare them.

        Args:
            image: raw ``(z, y, x, channel)``.
            predictor: whose normalisations are to be fixed.
            plan: tiles in slabs.
            size: of the network.
            progress: told the operations that were computed since the last time.
        """
        self._image, self._predictor, self._plan, self._size = image, predictor, plan, size
        self._progress = progress
        whole = [axis.whole for axis in plan.axes]
        normalised = [layer.looks_around for layer in size.layers(plan.tile)]
        self._of_tile = [layer for layer, counts in zip(size.layers(plan.tile), normalised, strict=True) if counts]
        self._of_whole = [
            layer
            for layer, counts in zip(size.layers((whole[0], whole[1], whole[2])), normalised, strict=True)
            if counts
        ]

    def moments(
        self,
        intensity: NDArray[np.float32],
        known: Fixed | None = None,
        after_each: Callable[[Fixed], None] = lambda _: None,
    ) -> Fixed:
        """The moments of every normalisation over the whole mirrored volume, each of its features counted once.

        Args:
            intensity: offset and scale of the volume.
            known: moments that need no pass.
            after_each: told all that is known, whenever one more is.
        """
        fixed: Fixed = dict(known or {})
        for number, name in enumerate(self._predictor.normalizations):
            if name in fixed:
                continue
            layer = self._predictor.model.get_layer(name)
            total = MomentSum(int(layer.gamma.shape[0]))
            for tile in range(len(self._plan)):
                self._count(total, tile, number, intensity, fixed)
            fixed[name] = total.moments(layer.groups if layer.groups > 0 else int(layer.gamma.shape[0]))
            after_each(fixed)
        return fixed

    def _count(self, total: MomentSum, tile: int, number: int, intensity: NDArray[np.float32], fixed: Fixed) -> None:
        """Count the features of one tile as they come to one normalisation."""
        index = np.unravel_index(tile, self._plan.counts)
        of_tile, of_whole = self._of_tile[number], self._of_whole[number]
        z, y, x = (
            slice(*axis.counted(int(i), of_tile.level, whole))
            for axis, i, whole in zip(self._plan.axes, index, of_whole.written, strict=True)
        )
        name = self._predictor.normalizations[number]
        stream = self._predictor.features(intensity, fixed, name)
        flop = float(self._size.flop_until(self._plan.tile, number))
        passed = 0
        with closing(read_ahead(self._image, self._plan[tile], self._plan.slab)) as slabs:
            for planes, last in slabs:
                features = stream.push(planes, last=last)
                for plane in () if features is None else features:
                    if z.start <= passed < z.stop:
                        total.add(plane[y, x])
                    passed += 1
                self._progress(flop * len(planes) / self._plan.tile[0])
