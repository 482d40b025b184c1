"""A box of a volume as people name it: ``z=100:200 x=50:``, in voxels."""

import re
from dataclasses import dataclass

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.box import Box, Triple

_AXIS = r"([zyx])\s*=\s*(\d*)\s*:\s*(\d*)(?:[\s,;]+|$)"
_REGION = re.compile(rf"\s*(?:{_AXIS})+", re.IGNORECASE)

Range = tuple[int | None, int | None]
"""First voxel, and the one behind the last; None for the end of the axis."""


@dataclass(frozen=True)
class Region:
    """Ranges of voxels along z, y and x, counted from 0, as slices in Python mean them.

    Attributes:
        z: of planes; all of them unless said otherwise.
        y: of rows.
        x: of columns.

    Raises:
        InputError: if a range is empty or begins below 0.
    """

    z: Range = (None, None)
    y: Range = (None, None)
    x: Range = (None, None)

    def __post_init__(self) -> None:
        for start, stop in (self.z, self.y, self.x):
            if (start or 0) < 0 or (stop is not None and stop <= (start or 0)):
                raise InputError(
                    f"The region {self} has a range without voxels. The first is 0, and the last left out."
                )

    @classmethod
    def parse(cls, text: str) -> "Region":
        """Read ``'z=100:200 y=: x=50:'``, with blanks or commas between; an axis that is not named is whole.

        Raises:
            InputError: if `text` is of another form.
        """
        named_axes = re.findall(_AXIS, text, re.IGNORECASE)
        found: dict[str, Range] = {axis.lower(): (_end(first), _end(stop)) for axis, first, stop in named_axes}
        if not _REGION.fullmatch(text) or len(found) < len(named_axes):
            raise InputError(
                f"Expected a range of voxels for some axes, each once, such as 'z=100:200 x=50:'. Received: {text!r}"
            )
        return cls(**found)

    def box(self, shape: Triple, volume: object = "the volume") -> Box:
        """Where it lies in a volume.

        Args:
            shape: of the volume along z, y, x.
            volume: its name, for messages.

        Raises:
            InputError: if it reaches outside; the message has the volume's size.
        """
        start, stop = [], []
        for (first, end), length in zip((self.z, self.y, self.x), shape, strict=True):
            start.append(first or 0)
            stop.append(length if end is None else end)
        box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        if box.clipped(shape) != box or 0 in box.shape:
            raise InputError(
                f"{volume}: has {named(shape)}; the region {self} reaches outside. Voxels are counted from 0, and the "
                "last of a range is left out."
            )
        return box

    def __str__(self) -> str:
        ranges = zip(AXES, (self.z, self.y, self.x), strict=True)
        return " ".join(f"{axis}={_shown(first)}:{_shown(end)}" for axis, (first, end) in ranges)


def _end(text: str) -> int | None:
    return int(text) if text else None


def _shown(end: int | None) -> str:
    return "" if end is None else str(end)
