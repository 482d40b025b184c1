"""Along which axes tiles are mirrored, for the mean over a tile and its mirror images."""

from collections.abc import Sequence
from itertools import chain, combinations
from typing import Protocol

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES


class Mirrored(Protocol):
    """A model of which this is known."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def mirrored_axes(self) -> tuple[str, ...]:
        """Axes (``"z"``, ``"y"``, ``"x"``) that its training mirrored."""


def common_axes(members: Sequence[Mirrored]) -> tuple[int, ...]:
    """Axes (0, 1, 2 for z, y, x) that every member saw mirrored in training.

    Raises:
        InputError: if there are none.
    """
    axes = tuple(number for number, axis in enumerate(AXES) if all(axis in member.mirrored_axes for member in members))
    if axes:
        return axes
    unmirrored = dict.fromkeys(member.name for member in members if not member.mirrored_axes)
    if unmirrored:
        raise InputError(
            f"{', '.join(unmirrored)}: {'was' if len(unmirrored) == 1 else 'were'} trained without mirrored tiles, "
            f"which {'it does' if len(unmirrored) == 1 else 'they do'} not know. Leave out --tta, or train with "
            f"mirroring."
        )
    raise InputError(
        f"{', '.join(dict.fromkeys(member.name for member in members))}: no axis was mirrored in the training of all. "
        f"Leave out --tta, or take models that were trained with the same mirroring."
    )


def axis_combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Every way to mirror along some of these axes, none first."""
    return list(chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1)))
