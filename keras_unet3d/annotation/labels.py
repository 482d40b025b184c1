"""Label values as annotators paint them ↔ class indices as the network counts them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.volume import Segment

UNLABELED = -1
"""The class index of a voxel without a label: never a class, weight 0, outside every metric."""

Colour = tuple[int, int, int]

_NAMES_OF_UNLABELED = frozenset({"unlabeled", "unlabelled", "ignore"})
_SHOWN = 5  # wrong values in one message
_CHUNK = 1 << 20  # voxels looked up at a time: the search takes 25 bytes for each


def means_unlabeled(name: str) -> bool:
    """Whether a label of this name marks voxels without a label: ``unlabeled``, ``unlabelled`` or ``ignore``."""
    return name.strip().lower() in _NAMES_OF_UNLABELED


def unlabeled_among(segments: Mapping[int, Segment]) -> int | None:
    """The value of the segment whose name says that it marks voxels without a label, None where none does."""
    return next((value for value, segment in segments.items() if means_unlabeled(segment.name)), None)


@dataclass(frozen=True)
class LabelScheme:
    """Which label value is which class.

    Attributes:
        values: the annotator's value of each class; class ``i`` is ``values[i]``.
        names: a name per class.
        colours: (red, green, blue) of 0–255 per class, None where the annotation has none.
        unlabeled: the value of voxels without a label, None where every value is a class.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    colours: tuple[Colour | None, ...] = ()
    unlabeled: int | None = None

    def __post_init__(self) -> None:
        if not self.colours:
            object.__setattr__(self, "colours", (None,) * len(self.values))
        if not len(self.values) == len(self.names) == len(self.colours):
            raise ValueError(f"Expected a name and a colour for each of the values {self.values}.")
        if self.unlabeled in self.values:
            raise InputError(f"The value {self.unlabeled} is declared unlabelled and a class too. It can only be one.")
        for what, items in (("value", self.values), ("name", self.names)):
            twice = sorted({str(item) for item in items if items.count(item) > 1})
            if twice:
                raise InputError(f"Two classes have the same {what}: {', '.join(twice)}. Each class needs its own.")
        bounds = np.iinfo(np.int32)
        too_large = [value for value in self._known_values if not bounds.min <= value <= bounds.max]
        if too_large:
            raise InputError(f"The label value {too_large[0]} does not fit into 32 bits. Use smaller values.")

    @classmethod
    def from_names(cls, labels: Mapping[str, Any]) -> "LabelScheme":
        """Read the ``labels`` of a ``dataset.json``: ``{"0": "background"}`` or ``{"background": 0}``.

        The first is the form of the Medical Segmentation Decathlon, the second that of nnU-Net v2. Classes are ordered
        by value. A label named ``unlabeled``, ``unlabelled`` or ``ignore``, in any case, is no class: its value marks
        voxels without a label.

        Raises:
            InputError: if the form is neither of the two, a value or a name occurs twice, or fewer than two classes
                are left.
        """
        found = dict(_value_and_name(key, item) for key, item in labels.items())
        if len(found) < len(labels):
            raise InputError(f"Two labels have the same value: {dict(labels)}. Give each its own value.")
        unlabeled = [value for value, name in found.items() if means_unlabeled(name)]
        if len(unlabeled) > 1:
            raise InputError(
                f"Several labels are unlabelled: {dict(labels)}. Only one value can mark unlabelled voxels."
            )
        values = sorted(set(found) - set(unlabeled))
        if len(values) < 2:
            raise InputError(
                f"Expected at least two classes besides the unlabelled value. Received: {dict(labels)}. "
                "The background is a class too: give it a value, such as 0."
            )
        return cls(
            tuple(values), tuple(found[value] for value in values), unlabeled=unlabeled[0] if unlabeled else None
        )

    @classmethod
    def from_values(
        cls, values: Iterable[int], segments: Mapping[int, Segment] | None = None, unlabeled: int | None = None
    ) -> "LabelScheme":
        """The scheme of labels that nobody named: 0 is ``background``, 5 is ``label 5``, or what its segment says.

        Args:
            values: the values that occur.
            segments: names and colours from the label files, where they hold some.
            unlabeled: the value of voxels without a label; else that of a segment with such a name, else None.
        """
        segments = segments or {}
        if unlabeled is None:
            unlabeled = unlabeled_among(segments)
        classes = sorted(set(values) - {unlabeled})
        names = [segments[value].name if value in segments else _unnamed(value) for value in classes]
        scheme = cls(tuple(classes), _distinct(names, classes), unlabeled=unlabeled)
        return scheme.with_colours(segments)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.values)

    @property
    def is_unnamed(self) -> bool:
        """Whether nobody named the classes: they are called as `from_values` calls them."""
        return self.names == tuple(map(_unnamed, self.values))

    @property
    def background(self) -> int | None:
        """The index of the background: the class of that name in any case, else the class of value 0, else None."""
        named = [index for index, name in enumerate(self.names) if name.strip().lower() == "background"]
        if named:
            return named[0]
        return self.values.index(0) if 0 in self.values else None

    @property
    def segments(self) -> dict[int, Segment]:
        """Label value → name and colour, as label files hold them."""
        triples = zip(self.values, self.names, self.colours, strict=True)
        return {value: Segment(name, colour) for value, name, colour in triples}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds the values of all classes: uint8, uint16 above 255, int32 if negative or larger."""
        return _smallest_type(self.values)

    def with_unlabeled(self, value: int) -> "LabelScheme":
        """The same scheme in which `value` marks voxels without a label; it is no class from then on.

        Raises:
            InputError: if another value is unlabelled already.
        """
        if self.unlabeled not in (None, value):
            raise InputError(
                f"The dataset says that {self.unlabeled} is unlabelled, the call says {value}. Only one value can be."
            )
        kept = [index for index, known in enumerate(self.values) if known != value]
        return LabelScheme(
            tuple(self.values[index] for index in kept),
            tuple(self.names[index] for index in kept),
            tuple(self.colours[index] for index in kept),
            unlabeled=value,
        )

    def with_background(self) -> "LabelScheme":
        """The same scheme with 0 as a class, named ``background`` where it was none."""
        if 0 in self.values:
            return self
        at = sum(value < 0 for value in self.values)
        values, names, colours = (
            (*known[:at], new, *known[at:])
            for known, new in ((self.values, 0), (self.names, "background"), (self.colours, None))
        )
        return LabelScheme(values, names, colours, self.unlabeled)

    def with_colours(self, segments: Mapping[int, Segment]) -> "LabelScheme":
        """The same scheme with the colours that `segments` have, where the scheme has none."""
        pairs = zip(self.values, self.colours, strict=True)
        return replace(
            self,
            colours=tuple(
                segments[value].colour if colour is None and value in segments else colour for value, colour in pairs
            ),
        )

    def class_index(self, labels: NDArray[Any]) -> NDArray[np.int16]:
        """Class indices for label values.

        Args:
            labels: integers of any type and shape, as annotated.

        Returns:
            The index of each voxel's class, `UNLABELED` where it has none.

        Raises:
            InputError: if a value is neither a class nor the unlabelled one; the message lists such values.
        """
        values = np.array(self._known_values, np.int64)
        order = np.argsort(values)
        values = values[order]
        index = np.array([*range(self.classes), UNLABELED][: len(order)], np.int16)[order]
        result = np.empty(labels.shape, np.int16)
        written, painted = result.reshape(-1), np.asarray(labels).reshape(-1)
        unknown: set[int] = set()
        for start in range(0, painted.size, _CHUNK):
            part = painted[start : start + _CHUNK].astype(np.int64)
            position = np.searchsorted(values, part).clip(max=len(values) - 1)
            strange = values[position] != part
            unknown.update(np.unique(part[strange]).tolist())
            written[start : start + _CHUNK] = index[position]
        if unknown:
            raise InputError(self.unknown_values(unknown))
        return result

    def unknown_values(self, values: Iterable[int]) -> str:
        """The sentence that says which `values` are no class, a few of them, and which ones are known."""
        unknown = sorted(values)
        few = ", ".join(str(value) for value in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        known = ", ".join(f"{value} ({name})" for value, name in zip(self.values, self.names, strict=True))
        ignored = "" if self.unlabeled is None else f", {self.unlabeled} (unlabelled)"
        return f"The label values {few}{more} are no class; expected {known}{ignored}."

    def label_values(self, class_index: NDArray[Any]) -> NDArray[Any]:
        """The annotator's values for class indices, in `dtype`; wider only if the unlabelled value needs it.

        Raises:
            ValueError: if a voxel is unlabelled and the scheme has no value for that.
        """
        values, dtype = self.values, self.dtype
        if (class_index == UNLABELED).any():
            if self.unlabeled is None:
                raise ValueError("Some voxels are unlabelled, and the labels have no value for that.")
            values = self._known_values  # UNLABELED is −1: the last one
            dtype = _smallest_type(values)
        painted: NDArray[Any] = np.array(values, dtype)[class_index]
        return painted

    def index_of(self, class_index: NDArray[np.int16], other: "LabelScheme") -> NDArray[np.int16]:
        """Class indices of another scheme as those of this one: a class is what has the same label value.

        Args:
            class_index: of `other`, `UNLABELED` where there is no label.
            other: may hold classes in another order, or fewer.

        Raises:
            InputError: if a class occurs that this scheme does not have; the message lists such values.
        """
        strange = [value for value in other.values if value not in self.values]
        found = [value for value in strange if (class_index == other.values.index(value)).any()]
        if found:
            raise InputError(self.unknown_values(found))
        mine = [UNLABELED if value in strange else self.values.index(value) for value in other.values]
        # UNLABELED is −1: the last entry of the table.
        return np.array([*mine, UNLABELED], np.int16)[class_index]

    @property
    def _known_values(self) -> tuple[int, ...]:
        return self.values if self.unlabeled is None else (*self.values, self.unlabeled)


def _value_and_name(key: str, item: Any) -> tuple[int, str]:
    """One entry of ``labels`` in either form."""
    if isinstance(item, list):
        raise InputError(
            f"The label {key!r} is a region of several values, {item}; region-based training is not supported. "
            "Give each class one value of its own."
        )
    if isinstance(item, str) and re.fullmatch(r"\s*-?\d+\s*", key):
        return int(key), item
    if isinstance(item, int) and not isinstance(item, bool):
        return item, key
    raise InputError(
        f'Expected labels such as {{"0": "background"}} or {{"background": 0}}. Received: {{{key!r}: {item!r}}}'
    )


def _unnamed(value: int) -> str:
    return "background" if value == 0 else f"label {value}"


def _distinct(names: list[str], values: list[int]) -> tuple[str, ...]:
    """Names of which each occurs once: those that occur again get their value added."""
    return tuple(
        name if names.count(name) == 1 else f"{name} ({value})" for name, value in zip(names, values, strict=True)
    )


def _smallest_type(values: Iterable[int]) -> np.dtype[Any]:
    lowest, highest = min(values), max(values)
    for kind in (np.uint8, np.uint16):
        if lowest >= 0 and highest <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.int32)
