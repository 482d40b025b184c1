"""Labels in a few slices and 0 everywhere else: nobody but who painted them knows what 0 means."""

from collections.abc import Collection

from keras_unet3d.annotation.problems import Problem
from keras_unet3d.annotation.slices import AnnotatedSlices


def open_meaning(
    file: str, slices: AnnotatedSlices, case: str, *, values: Collection[int], unlabeled: int | None
) -> Problem:
    """What to say of such labels.

    Args:
        file: that holds them.
        slices: in which alone something is painted.
        case: its name, empty where it is the only one.
        values: that occur.
        unlabeled: the value of voxels without a label, where it is known.
    """
    several = sum(value != 0 for value in values) > 1
    third = ", or --unlabeled 0 if you painted the background too" if several and unlabeled is None else ""
    return Problem(
        file,
        f"is painted in {slices} only and 0 everywhere else, which may mean background or not annotated.",
        f"Say which: {annotated_slices_option(slices, case)} if 0 is background in these slices and unlabelled "
        f"elsewhere (add slices that you looked at and left empty), --dense if 0 is background everywhere{third}.",
    )


def annotated_slices_option(slices: AnnotatedSlices, case: str) -> str:
    """What to type for these slices of a case; its name is empty where it is the only one."""
    return f"--annotated-slices '{case}{':' if case else ''}{slices}'"
