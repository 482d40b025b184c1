"""What may be done to a dense label map after the network: small components go, holes close.

Components are counted as the field does it: voxels of a class that share a face, an edge or a corner are one component
(26 neighbours, as in nnU-Net, MONAI and scikit-image), and background is a hole where no path over faces leads out of
it (6 neighbours, as in SciPy's `binary_fill_holes` and ITK). The two belong together: a surface that hangs together by
edges and corners is one that no path over faces crosses.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.box import Box
from keras_unet3d.volumes.units import IN_MM
from keras_unet3d.volumes.volume import Grid

BYTES_PER_VOXEL = 6
"""What `postprocess` holds at its peak beside the label map itself, per voxel of the map.

Measured with 256³ voxels: 4.3 bytes for 2,000 components, up to 5.5 for noise of a million. SimpleITK's
ConnectedComponent and RelabelComponent took 9.5 and up to 19.4 bytes, at the same speed for the first and a fifth to a
half of it for the second; its BinaryFillhole took 99 bytes and a minute where this takes half a second.
"""

_CHUNK = 1 << 19  # voxels looked at a time: NumPy takes indices in 8 bytes each
_ROUNDING = 1e-6  # headers hold spacings in 32 bits: 0.1 mm is 0.10000000149 mm, and ten such voxels still are 1 mm


@dataclass(frozen=True)
class PostProcessing:
    """What is to be done to each class but the background, first removing, then filling.

    Attributes:
        largest_component: keep only the largest component of each class (the first along z, y, x of equal ones).
        min_size_mm3: remove components of a smaller volume, in mm³, the largest too.
        fill_holes: give a class the background that it encloses in all three dimensions. What reaches the border of
            the volume is not enclosed; what touches several classes stays, as nothing says which of them it is.
    """

    largest_component: bool = False
    min_size_mm3: float | None = None
    fill_holes: bool = False

    def __post_init__(self) -> None:
        if self.min_size_mm3 is not None and not (math.isfinite(self.min_size_mm3) and self.min_size_mm3 > 0):
            raise InputError(f"Expected a smallest component above 0 mm³, such as 2.5. Received: {self.min_size_mm3}")

    @property
    def wanted(self) -> bool:
        """Whether anything is to be done at all."""
        return self.largest_component or self.min_size_mm3 is not None or self.fill_holes

    def fewest_voxels(self, grid: Grid) -> int:
        """How many voxels a component needs to stay, 1 without `min_size_mm3`.

        A grid without a unit is taken as mm, as `Grid.agrees` does: many NIfTI files leave it out; see `assumed_unit`.

        Raises:
            InputError: if a smallest volume is wanted and the file said nothing about the size of its voxels.
        """
        if self.min_size_mm3 is None:
            return 1
        if grid.carries_no_space and not grid.placed:
            raise InputError(
                f"The image says neither spacing nor unit, so that components cannot be measured in mm³ (asked for: "
                f"{self.min_size_mm3:g}). Save it with its spacing and unit (in Fiji: Image > Properties), or leave "
                "the smallest size out."
            )
        volume = abs(float(np.linalg.det(grid.affine[:3, :3])))  # right for sheared voxels, too
        voxel_mm3 = volume * IN_MM[grid.unit or "mm"] ** 3
        return max(1, math.ceil(self.min_size_mm3 / voxel_mm3 * (1 - _ROUNDING)))

    def assumed_unit(self, grid: Grid) -> str:
        """What to tell a user where volumes are measured and the grid has no unit, else nothing."""
        if self.min_size_mm3 is None or grid.unit:
            return ""
        return (
            f"The image has no unit: its spacing, {named(grid.spacing)}, was taken as mm, so that "
            f"{self.min_size_mm3:g} mm³ are {self.fewest_voxels(grid)} voxels."
        )


@dataclass(frozen=True)
class ClassChange:
    """What was done to one class.

    Attributes:
        class_index: the class.
        removed_components: how many became background.
        removed_voxels: how many voxels they had.
        filled_holes: how many holes of background became this class.
        filled_voxels: how many voxels they had.
    """

    class_index: int
    removed_components: int = 0
    removed_voxels: int = 0
    filled_holes: int = 0
    filled_voxels: int = 0


def background_of(scheme: LabelScheme) -> int:
    """The class index of the background, `LabelScheme.background`.

    Raises:
        InputError: if there is none.
    """
    if scheme.background is not None:
        return scheme.background
    known = ", ".join(f"{value} ({name})" for value, name in zip(scheme.values, scheme.names, strict=True))
    raise InputError(
        f"No class is the background: none has that name or the value 0 among {known}. Post-processing needs to know "
        "what removed voxels become: name a class 'background' in dataset.json and fit again, or leave it out."
    )


def postprocess(
    classes: NDArray[Any], settings: PostProcessing, grid: Grid, background: int
) -> tuple[ClassChange, ...]:
    """Remove components and fill holes, in place, each class by itself.

    The result does not depend on the order of the classes, and doing it again changes nothing.

    Args:
        classes: class indices ``(z, y, x)``, uint8 or uint16, in memory and writable; changed in place.
        settings: what is to be done.
        grid: of these voxels.
        background: the class index that removed voxels get and that holes consist of; see `background_of`.

    Returns:
        A change for each class that occurs, the background left out.

    Raises:
        InputError: as `PostProcessing.fewest_voxels`, before anything is changed.
        ValueError: if the grid is another one.
    """
    if classes.shape != grid.shape:
        raise ValueError(f"Expected classes of {named(grid.shape)}. Received: {named(classes.shape)}")
    fewest = settings.fewest_voxels(grid)
    if not settings.wanted:
        return ()
    boxes = {index: box.slices for index, box in _boxes(classes).items() if index != background}
    removed, filled = dict.fromkeys(boxes, (0, 0)), dict.fromkeys(boxes, (0, 0))
    if settings.largest_component or fewest > 1:
        removed = {
            index: _remove(classes[box], index, background, fewest, only_largest=settings.largest_component)
            for index, box in boxes.items()
        }
    if settings.fill_holes:  # after all is removed: what one class loses may lie in a hole of another
        filled = {index: _fill(classes[box], index, background) for index, box in boxes.items()}
    return tuple(ClassChange(index, *removed[index], *filled[index]) for index in sorted(boxes))


def _remove(part: NDArray[Any], index: int, background: int, fewest: int, *, only_largest: bool) -> tuple[int, int]:
    """Remove components of a class from its box; returns how many, and their voxels."""
    labels, count = _components(np.equal, part, index, reach=3)
    sizes = np.zeros(count + 1, np.int64)
    for chunk in _chunks(labels):
        sizes += np.bincount(labels[chunk].ravel(), minlength=count + 1)
    removed = sizes < fewest
    if only_largest:
        others = np.arange(count + 1) != 1 + sizes[1:].argmax()
        removed |= others
    removed[0] = False  # what is not of this class
    if removed.any():
        for chunk in _chunks(labels):
            part[chunk][removed[labels[chunk]]] = background
    return int(removed.sum()), int(sizes[removed].sum())


def _fill(part: NDArray[Any], index: int, background: int) -> tuple[int, int]:
    """Fill the holes of a class within its box; returns how many, and their voxels.

    What is not of the class and reaches a face of its box is connected to the outside, or at the border of the volume.
    """
    if min(part.shape) < 3:
        return 0, 0
    labels, count = _components(np.not_equal, part, index, reach=1)
    hole = np.ones(count + 1, bool)
    hole[0] = False  # the class itself
    for axis, end in product(range(3), (0, -1)):
        face = np.moveaxis(labels, axis, 0)[end]
        for chunk in _chunks(face):
            hole[face[chunk]] = False
    for chunk in _chunks(labels):
        foreign = (part[chunk] != index) & (part[chunk] != background)
        hole[labels[chunk][foreign]] = False
    voxels = 0
    if hole.any():
        for chunk in _chunks(labels):
            enclosed = hole[labels[chunk]]
            part[chunk][enclosed] = index
            voxels += int(enclosed.sum())
    return int(hole.sum()), voxels


def _components(compare: np.ufunc, part: NDArray[Any], index: int, *, reach: int) -> tuple[NDArray[np.int32], int]:
    """Number the components of the voxels that compare true, from 1, and say how many there are.

    Args:
        compare: with the class.
        part: class indices in a box.
        index: the class.
        reach: 1 where neighbours share a face, 3 where a corner is enough.
    """
    from scipy import ndimage

    labels = np.empty(part.shape, np.int32)
    compare(part, index, out=labels)
    count = ndimage.label(labels, ndimage.generate_binary_structure(3, reach), output=labels)  # in place: 4 bytes each
    return labels, int(count)


def _boxes(classes: NDArray[Any]) -> dict[int, Box]:
    """The smallest box around the voxels of each class that occurs."""
    from scipy import ndimage

    boxes: dict[int, Box] = {}
    for chunk in _chunks(classes):
        found = ndimage.find_objects(classes[chunk].astype(np.int32) + 1)  # it looks for no 0
        for index, place in enumerate(found):
            if place is None:
                continue
            z, y, x = place
            box = Box((chunk.start + z.start, y.start, x.start), (chunk.start + z.stop, y.stop, x.stop))
            boxes[index] = _around(boxes[index], box) if index in boxes else box
    return boxes


def _around(one: Box, other: Box) -> Box:
    start = [min(pair) for pair in zip(one.start, other.start, strict=True)]
    stop = [max(pair) for pair in zip(one.stop, other.stop, strict=True)]
    return Box.at(start, [high - low for low, high in zip(start, stop, strict=True)])


def _chunks(array: NDArray[Any]) -> Iterator[slice]:
    """Slices along the first axis, of about `_CHUNK` voxels each."""
    step = max(1, _CHUNK * len(array) // max(1, array.size))
    return (slice(start, min(start + step, len(array))) for start in range(0, len(array), step))
