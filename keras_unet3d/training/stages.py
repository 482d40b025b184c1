"""Smaller tiles first: for the same work a network sees more of them."""

from math import prod

from keras_unet3d.training.settings import Settings
from keras_unet3d.volumes.box import Triple

FIRST_SHARE = 0.5
"""Of the work that is done on the smaller tiles, where there are some."""


def tile_at(settings: Settings, progress: float) -> Triple:
    """The tile that is learned from.

    Args:
        settings: resolved.
        progress: share of the budget that is used, 0 to 1. Minutes measure work; of steps, those on smaller tiles are
            less work each, so that more of them are taken.
    """
    tile = settings.tile or (0, 0, 0)
    first = settings.first_tile or tile
    share = FIRST_SHARE
    if settings.steps:
        work = share * prod(tile)
        share = work / (work + (1 - share) * prod(first))
    return first if progress < share else tile
