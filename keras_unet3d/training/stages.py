"""Smaller tiles first: for the same work a network sees more of them."""

from math import prod

from keras_unet3d.training.resolved import ResolvedSettings
from keras_unet3d.volumes.box import Triple

FIRST_SHARE = 0.5
"""Of the work that is done on the smaller tiles, where there are some."""


def tile_at(settings: ResolvedSettings, progress: float) -> Triple:
    """The tile that is learned from.

    Args:
        settings: its end and its two tiles are looked at.
        progress: share of the budget that is used, 0 to 1. Minutes measure work; of steps, those on smaller tiles are
            less work each, so that more of them are taken.
    """
    tile, first = settings.tile, settings.first_tile
    share = FIRST_SHARE
    if settings.steps:
        work = share * prod(tile)
        share = work / (work + (1 - share) * prod(first))
    return first if progress < share else tile
