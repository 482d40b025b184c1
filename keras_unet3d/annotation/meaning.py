"""What the user says about labels beyond what their files hold."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.slices import AnnotatedSlices, restrict_background
from keras_unet3d.errors import InputError


@dataclass(frozen=True)
class Meaning:
    """How to read the unpainted voxels of a dataset.

    Attributes:
        annotated_slices: for all cases, or by the name of the case: 0 is background in them, unlabelled elsewhere.
        unlabeled: the value of voxels without a label (0 may be it), where the dataset does not say.
        dense: 0 is background everywhere, also where only a few slices are painted; for the cases without
            `annotated_slices`.
    """

    annotated_slices: AnnotatedSlices | Mapping[str, AnnotatedSlices] | None = None
    unlabeled: int | None = None
    dense: bool = False

    @property
    def arguments(self) -> list[str]:
        """Of the command line that says the same; none where nothing is said."""
        slices = self.annotated_slices
        by_case = slices if isinstance(slices, Mapping) else {"": slices} if slices is not None else {}
        said = []
        for case, each in sorted(by_case.items()):
            said += ["--annotated-slices", f"{case}{':' if case else ''}{each}"]
        said += ["--unlabeled", str(self.unlabeled)] if self.unlabeled is not None else []
        return [*said, *(["--dense"] if self.dense else [])]

    def __str__(self) -> str:
        """In the words of the command line."""
        return shlex.join(self.arguments) or "what the file says"

    def check(self, scheme: LabelScheme | None, cases: Sequence[str]) -> None:
        """Make sure that what was said does not contradict itself, or what it is said of.

        Args:
            scheme: the classes, where they are known.
            cases: their names.

        Raises:
            InputError: if it does.
        """
        unlabeled = self.unlabeled
        if scheme is not None:
            unlabeled = scheme.unlabeled if unlabeled is None else scheme.with_unlabeled(unlabeled).unlabeled
        if self.annotated_slices is not None and unlabeled == 0:
            raise InputError(
                "Annotated slices say that 0 is background in them, and 0 is declared unlabelled as well. Give only "
                "one of --annotated-slices and --unlabeled 0."
            )
        if self.dense and (isinstance(self.annotated_slices, AnnotatedSlices) or unlabeled == 0):
            raise InputError(
                "--dense says that 0 is background everywhere, and --annotated-slices or --unlabeled 0 that it is not. "
                "Give only one of them."
            )
        if isinstance(self.annotated_slices, Mapping):
            unknown = sorted(set(self.annotated_slices) - set(cases))
            if unknown:
                few = ", ".join(cases[:5]) + (" …" if len(cases) > 5 else "")
                raise InputError(f"Annotated slices were given for {', '.join(unknown)}; the cases are {few}.")

    def declared(self, scheme: LabelScheme) -> LabelScheme:
        """The scheme of the dataset with what the user adds to it."""
        if self.unlabeled is not None:
            scheme = scheme.with_unlabeled(self.unlabeled)
        return scheme if self.annotated_slices is None else scheme.with_background()

    def slices_of(self, case: str) -> AnnotatedSlices | None:
        """The annotated slices of a case, None where none were given."""
        if isinstance(self.annotated_slices, Mapping):
            return self.annotated_slices.get(case)
        return self.annotated_slices

    def leaves_zero_open(self, case: str, values: Collection[int], unlabeled: int | None) -> bool:
        """Whether nothing says what 0 means where nobody painted.

        Args:
            case: its name.
            values: that occur in its labels.
            unlabeled: the value of voxels without a label; labels in which it occurs say all.
        """
        return not self.dense and self.slices_of(case) is None and 0 in values and unlabeled not in values

    def class_index(self, labels: NDArray[Any], scheme: LabelScheme, case: str) -> NDArray[np.int16]:
        """Class indices of a case's label values in the `declared` scheme, `UNLABELED` where there is no label.

        Raises:
            InputError: if a value is no class, or an annotated slice lies outside the volume.
        """
        index, slices = scheme.class_index(labels), self.slices_of(case)
        return index if slices is None else restrict_background(index, scheme.values.index(0), slices)
