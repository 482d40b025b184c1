"""The two ways to resample a tile, behind one interface; which one is used changes the time, not the result."""

import io
import warnings
from contextlib import redirect_stderr
from functools import cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.augmentation.coordinate_map import CoordinateMap
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.box import Box

EngineName = Literal["auto", "elasticdeform", "compiled"]


class Engine(Protocol):
    """Resamples image and labels through one coordinate map."""

    name: str

    def resample(
        self,
        image: NDArray[np.float32],
        class_index: NDArray[np.int16],
        coordinate_map: CoordinateMap,
        label_tile: Box,
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Produce an augmented tile.

        Args:
            image: the whole volume, float32 ``(z, y, x, channel)``; mirrored about its border voxels outside.
            class_index: the whole volume, int16 ``(z, y, x)``, −1 where unlabelled; unlabelled outside.
            coordinate_map: where the tile comes from.
            label_tile: the part of the tile that labels are wanted for, in voxels of the volume: a network without
                padding returns a smaller tile than it takes.

        Returns:
            The image tile, float32 ``(z, y, x, channel)``, interpolated linearly, and the class indices of the label
            tile, int16 ``(z, y, x)``, of the nearest voxels.
        """
        ...


def choose_engine(name: EngineName = "auto") -> Engine:
    """The engine called `name`; ``"auto"`` is the faster, which is the compiled one.

    Where elasticdeform was asked for and cannot be imported, the compiled engine takes its place, and one warning says
    so.

    Raises:
        InputError: if there is no engine of this name.
    """
    if name not in ("auto", "elasticdeform", "compiled"):
        raise InputError(f"Expected the augmentation 'auto', 'elasticdeform' or 'compiled'. Received: {name!r}")
    if name == "elasticdeform" and (engine := _elasticdeform_engine()) is not None:
        return engine
    from keras_unet3d.augmentation.compiled import CompiledEngine

    return CompiledEngine()


@cache
def _elasticdeform_engine() -> Engine | None:
    """The engine on elasticdeform, or None after a warning; cached, so that the warning comes once in a process."""
    try:
        # A wheel built for NumPy 1 makes NumPy 2 print a page about it before the import fails.
        with redirect_stderr(io.StringIO()):
            from keras_unet3d.augmentation.elastic import ElasticdeformEngine
    except (ImportError, AttributeError) as error:
        warnings.warn(
            f"elasticdeform cannot be imported ({error}); the compiled augmentation, which gives the same tiles, takes "
            "its place. Built from source it works with NumPy 2 (needs a C compiler): "
            "pip install --no-cache-dir --no-binary elasticdeform elasticdeform",
            UserWarning,
            stacklevel=3,
        )
        return None
    return ElasticdeformEngine()
