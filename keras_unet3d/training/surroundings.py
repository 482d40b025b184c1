"""What tiles around a label are made of: so much of a large image is read around its labels."""

from collections.abc import Sequence

import numpy as np

from keras_unet3d.annotation.cases import AnnotatedCase
from keras_unet3d.augmentation.parameters import draw_map, sample_generator
from keras_unet3d.training.resolved import ResolvedSettings
from keras_unet3d.training.working_spacing import working_grid
from keras_unet3d.volumes.box import Box, Triple

DRAWS = 64
"""Deformations that are looked at: what lies further away than any of them reaches is mirrored, once in a while."""


def surroundings(settings: ResolvedSettings, cases: Sequence[AnnotatedCase]) -> Triple:
    """Voxels on each side of a label, along z, y and x, that a tile with this label can be made of.

    The tile's labels reach up to their length less one, its input a halo further, and what it is deformed from further
    still.

    Args:
        settings: of the run.
        cases: none of them a part of an image needs any.
    """
    parts = [case for case in cases if case.within is not None]
    if not parts:
        return 0, 0, 0
    geometry = settings.network.geometry
    tile = Box.at((0, 0, 0), settings.tile)
    spacing = working_grid(parts[0], settings.resampled_to).spacing
    beyond = np.zeros(3, int)
    for number in range(DRAWS):
        source = draw_map(settings.augmentation, sample_generator(settings.seed, number, 0), tile, spacing).source_box
        beyond = np.maximum(beyond, np.maximum(np.negative(source.start), np.subtract(source.stop, tile.stop)))
    labels, margins = np.array(geometry.output_lengths(settings.tile)), np.array(geometry.margins)
    z, y, x = (int(value) for value in labels - 1 + margins // 2 + beyond)
    return z, y, x
