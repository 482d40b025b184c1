"""Who does the pieces of a large work: one of several processes that know nothing of each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from keras_unet3d.errors import InputError
from keras_unet3d.jobs.segmenting_blocks import THIS_PROCESS, BlockRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keras_unet3d.jobs.segmenting import SegmentationPlan


@dataclass(frozen=True)
class Part:
    """This process, as one of several that are started with the same call, in a Slurm array for example.

    Attributes:
        number: of this process, from 1; 0 does none of the work but what is the same for all, so that the others need
            not wait for it.
        count: how many there are; each does every so many-th piece of the work.

    Raises:
        InputError: if there is no such part.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number <= self.count or not self.count:
            raise InputError(f"Expected a part from 1 to their number, such as 2/4. Received: {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2/4``.

        Raises:
            InputError: if it is anything else.
        """
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if not found:
            raise InputError(f"Expected a part and their number, such as 2/4. Received: {text!r}")
        return cls(int(found[1]), int(found[2]))

    @property
    def workers(self) -> int:
        """How many processes share the work."""
        return self.count

    def takes(self, number: int) -> bool:
        """Whether this process does the piece of this number, from 0."""
        return number % self.count == self.number - 1

    def begin(self, request: BlockRequest, wait: Callable[[], None]) -> SegmentationPlan:
        """Decide what is the same for all blocks, unless another process has."""
        return THIS_PROCESS.begin(request, wait)

    def compute(self, request: BlockRequest, numbers: Sequence[int], looked: Callable[[float], None]) -> None:
        """Compute blocks one after the other."""
        THIS_PROCESS.compute(request, numbers, looked)

    def release(self) -> None:
        """Let go of image and networks."""
        THIS_PROCESS.release()
