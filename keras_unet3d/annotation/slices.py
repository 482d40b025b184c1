"""Annotated slices: naming them, finding them in a label map, and what 0 means outside them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.box import Box

_SLIP = 3  # voxels: a slip of the brush makes no annotated slice,
_NEGLIGIBLE = 0.002  # nor does this share of the fullest one
_STRAY = 0.01  # of the paint may lie outside of the few painted slices
_SLAB = 3  # painted slices in a row; a compact object is thicker
_FEW = 0.25  # of the slices of an axis
_ISOLATED = 0.2  # of a slice; a quarter remains where every second slice of all three orientations is annotated

_SLICES = re.compile(r"(?:\s*[zyx]\s*=\s*\d+(?:\s*,\s*\d+)*(?:[\s;]+|$))+", re.IGNORECASE)
_ONE_AXIS = re.compile(r"([zyx])\s*=\s*(\d+(?:\s*,\s*\d+)*)", re.IGNORECASE)


@dataclass(frozen=True)
class AnnotatedSlices:
    """Slices orthogonal to z, y and x, by their index counted from 0.

    Attributes:
        z: the xy slices that were annotated, ascending.
        y: the xz slices.
        x: the yz slices.
    """

    z: tuple[int, ...] = ()
    y: tuple[int, ...] = ()
    x: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for axis, indices in zip(AXES, self.per_axis, strict=True):
            if any(index < 0 for index in indices):
                raise InputError(f"Slices are counted from 0. Received: {axis}={min(indices)}")
            object.__setattr__(self, axis, tuple(sorted({int(index) for index in indices})))

    @classmethod
    def parse(cls, text: str) -> "AnnotatedSlices":
        """Read ``'z=12,31 y=80'``.

        Raises:
            InputError: if `text` is of another form.
        """
        if not _SLICES.fullmatch(text):
            raise InputError(f"Expected annotated slices such as 'z=12,31 y=80'. Received: {text!r}")
        found: dict[str, tuple[int, ...]] = {}
        for axis, indices in _ONE_AXIS.findall(text):
            found[axis.lower()] = (*found.get(axis.lower(), ()), *(int(index) for index in indices.split(",")))
        return cls(**found)

    @property
    def per_axis(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The indices along z, y and x."""
        return self.z, self.y, self.x

    def __len__(self) -> int:
        return len(self.z) + len(self.y) + len(self.x)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Each slice as (array axis, index): z first, then y, then x."""
        return ((axis, index) for axis, indices in enumerate(self.per_axis) for index in indices)

    def __str__(self) -> str:
        pairs = zip(AXES, self.per_axis, strict=True)
        return " ".join(f"{axis}={','.join(map(str, indices))}" for axis, indices in pairs if indices)

    def __or__(self, other: "AnnotatedSlices") -> "AnnotatedSlices":
        """The slices of both."""
        z, y, x = (mine + theirs for mine, theirs in zip(self.per_axis, other.per_axis, strict=True))
        return AnnotatedSlices(z, y, x)

    def without(self, other: "AnnotatedSlices") -> "AnnotatedSlices":
        """The slices that `other` does not have."""
        z, y, x = (
            tuple(sorted(set(mine) - set(theirs))) for mine, theirs in zip(self.per_axis, other.per_axis, strict=True)
        )
        return AnnotatedSlices(z, y, x)

    def check(self, shape: Sequence[int]) -> None:
        """Make sure that every slice lies in a volume of `shape` (z, y, x).

        Raises:
            InputError: if one does not; the message has the length of its axis.
        """
        for axis, indices, length in zip(AXES, self.per_axis, shape, strict=True):
            if indices and indices[-1] >= length:
                raise InputError(
                    f"The annotated slice {axis}={indices[-1]} lies outside the volume of {named(shape)}. "
                    f"Slices of {axis} are counted from 0 to {length - 1} (ITK-SNAP shows them from 1)."
                )

    def within(self, box: Box) -> "AnnotatedSlices":
        """Those that go through a box, by their index in it."""
        z, y, x = (
            tuple(index - first for index in indices if first <= index < stop)
            for indices, first, stop in zip(self.per_axis, box.start, box.stop, strict=True)
        )
        return AnnotatedSlices(z, y, x)

    def mask(self, shape: Sequence[int]) -> NDArray[np.bool_]:
        """True in the slices, False elsewhere; ``(z, y, x)`` of `shape`."""
        self.check(shape)
        inside = np.zeros(shape, bool)
        for axis, index in self:
            _plane(inside, axis, index)[...] = True
        return inside


def slices_by_case(texts: Sequence[str]) -> AnnotatedSlices | dict[str, AnnotatedSlices] | None:
    """Read what was given for ``--annotated-slices``: one text for all cases, or one per case with its name in front.

    Args:
        texts: ``['z=12,31 y=80']``, or ``['s1:z=12,31', 's2:y=80']`` for the cases s1 and s2.

    Raises:
        InputError: if a text is of another form, or both forms are mixed.
    """
    found: dict[str, AnnotatedSlices] = {}
    for text in texts:
        case, _, slices = text.rpartition(":")
        if case in found:
            raise InputError(f"Annotated slices were given twice for {case or 'all cases'}. Put them in one text.")
        found[case] = AnnotatedSlices.parse(slices)
    if "" in found and len(found) > 1:
        raise InputError("Give the annotated slices once for all cases, or for each case as 'NAME:z=12,31 y=80'.")
    return found.get("") or found or None


def restrict_background(class_index: NDArray[np.int16], background: int, slices: AnnotatedSlices) -> NDArray[np.int16]:
    """Take the background for annotated in `slices` only, and for unlabelled elsewhere.

    This is the meaning of ``--annotated-slices``: editors leave unpainted voxels 0, and people paint the foreground
    of a few slices. Painted voxels outside of `slices` are kept: somebody painted them.

    Args:
        class_index: ``(z, y, x)``; not changed.
        background: the class of the unpainted voxels.
        slices: where unpainted means background.

    Raises:
        InputError: if a slice lies outside the volume.
    """
    return np.where((class_index == background) & ~slices.mask(class_index.shape), np.int16(UNLABELED), class_index)


def find_annotated_slices(labelled: NDArray[np.bool_]) -> AnnotatedSlices:
    """The slices that an annotator must have worked in: few ones that together hold the labelled voxels.

    Annotated slices cross each other and leave stripes in the slices between; those do not count. A voxel belongs to
    an isolated slice where both its neighbours across that slice are unlabelled: slices with such voxels are taken
    first, the one with most of them first. Annotated slices that touch each other have no such voxels; from what is
    left, the slice of which the largest share is labelled is taken, again and again. A slice that adds no more than
    three voxels, or two thousandths of what the fullest one holds, is no slice of its own. Dense labels come out as all
    slices of z.

    Args:
        labelled: ``(z, y, x)``, True where there is a label.
    """
    if labelled.all():
        return AnnotatedSlices(z=tuple(range(labelled.shape[0])))
    isolated, left = _isolated_slices(labelled)
    return _together([*isolated, *_fullest_slices(left, negligible=_negligible(labelled))])


def few_painted_slices(painted: NDArray[np.bool_]) -> AnnotatedSlices | None:
    """The slices in which alone something is painted, or None where the paint has depth.

    Whether 0 means background everywhere is open where paint lies in isolated slices, one voxel thick, of one or more
    orientations: no paint before and behind; and the rest of it in slices of which no more than three touch. A compact
    object is many voxels thick, however small it is, and scattered points make many slices that touch each other; both
    count as dense.

    Args:
        painted: ``(z, y, x)``, True where the label is not 0.
    """
    if painted.all():
        return None
    isolated, left = _isolated_slices(painted)
    if not isolated:
        return None
    stray = _STRAY * painted.sum()
    found = _together([*isolated, *(_fullest_slices(left, _negligible(painted)) if left.sum() > stray else [])])
    return found if _longest_run(found) <= _SLAB and left.sum() <= stray else None


def thin_slabs(painted: NDArray[np.bool_]) -> AnnotatedSlices | None:
    """The slices of one axis in which alone something is painted, where they are few and at most three touch.

    Slices that were annotated in pairs look so, and so do flat objects: what 0 means is a question, but no open one.

    Args:
        painted: ``(z, y, x)``, True where the label is not 0.
    """
    for axis, length in enumerate(painted.shape):
        slices = _together([(axis, int(index)) for index in np.flatnonzero(_counts(painted, axis))])
        if 0 < len(slices) <= _FEW * length and _longest_run(slices) <= _SLAB:
            return slices
    return None


def _longest_run(slices: AnnotatedSlices) -> int:
    """How many slices touch each other at most."""
    longest = 0
    for indices in slices.per_axis:
        run = 0
        for before, index in pairwise((-2, *indices)):
            run = run + 1 if index == before + 1 else 1
            longest = max(longest, run)
    return longest


def _isolated_slices(voxels: NDArray[np.bool_]) -> tuple[list[tuple[int, int]], NDArray[np.bool_]]:
    """Slices of isolated voxels, and the voxels that lie in none of them.

    Such a slice has voxels whose neighbours across it are False: at least `_ISOLATED` of those that no slice found
    before it holds (others lie where it crosses slices not found yet), and more than a negligible number.
    """
    left = voxels.copy()
    left_counts = [_counts(left, axis) for axis in range(3)]
    alone = [_without_neighbours(voxels, axis) for axis in range(3)]
    counts = [_counts(voxels_alone, axis) for axis, voxels_alone in enumerate(alone)]
    negligible = _negligible(voxels)
    found: list[tuple[int, int]] = []
    while True:
        enough = [
            np.where(count > np.maximum(negligible, _ISOLATED * all_left), count, 0)
            for count, all_left in zip(counts, left_counts, strict=True)
        ]
        axis = int(np.argmax([count.max() for count in enough]))
        index = int(enough[axis].argmax())
        if not enough[axis][index]:
            return found, left
        found.append((axis, index))
        for other, removed in enumerate(_clear(left, axis, index)):
            left_counts[other] -= removed
            counts[other] -= _clear(alone[other], axis, index)[other]


def _fullest_slices(left: NDArray[np.bool_], negligible: float) -> list[tuple[int, int]]:
    """Slices that hold the voxels of `left`, the one of which the largest share is True first; clears `left`."""
    areas = [left.size / length for length in left.shape]
    counts = [_counts(left, axis) for axis in range(3)]
    found: list[tuple[int, int]] = []
    while True:
        shares = [np.where(count > negligible, count, 0) / area for count, area in zip(counts, areas, strict=True)]
        axis = int(np.argmax([share.max() for share in shares]))
        index = int(shares[axis].argmax())
        if not shares[axis][index]:
            return found
        found.append((axis, index))
        for other, removed in enumerate(_clear(left, axis, index)):
            counts[other] -= removed


def _clear(voxels: NDArray[np.bool_], axis: int, index: int) -> list[NDArray[np.int64]]:
    """Set one slice to False; returns by how much that lowers the counts along z, y and x."""
    plane = _plane(voxels, axis, index)
    removed = [np.zeros(length, np.int64) for length in voxels.shape]
    first, second = (other for other in range(3) if other != axis)
    removed[first] += np.count_nonzero(plane, axis=1)
    removed[second] += np.count_nonzero(plane, axis=0)
    removed[axis][index] = removed[first].sum()
    plane[...] = False
    return removed


def _without_neighbours(voxels: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """The voxels with no True neighbour along `axis`; none along an axis of one voxel, which has no neighbours."""
    if voxels.shape[axis] == 1:
        return np.zeros_like(voxels)
    alone = voxels.copy()
    here, there = np.moveaxis(alone, axis, 0), np.moveaxis(voxels, axis, 0)
    here[1:] &= ~there[:-1]
    here[:-1] &= ~there[1:]
    return alone


def _counts(voxels: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    """True voxels in each slice orthogonal to `axis`."""
    return np.asarray(np.count_nonzero(voxels, axis=tuple(other for other in range(3) if other != axis)), np.int64)


def _negligible(voxels: NDArray[np.bool_]) -> float:
    """How many voxels of its own make no slice yet."""
    return max(_SLIP, _NEGLIGIBLE * max(int(_counts(voxels, axis).max()) for axis in range(3)))


def _plane(voxels: NDArray[np.bool_], axis: int, index: int) -> NDArray[np.bool_]:
    """A view of one slice."""
    plane: NDArray[np.bool_] = np.moveaxis(voxels, axis, 0)[index]
    return plane


def _together(slices: Sequence[tuple[int, int]]) -> AnnotatedSlices:
    z, y, x = (tuple(index for axis, index in slices if axis == wanted) for wanted in range(3))
    return AnnotatedSlices(z, y, x)
