"""Names for axes, so that no size ever travels as a bare triple.

Arrays are ordered ``(z, y, x)``; people read and type ``x=248 y=244 z=64``.
"""

import re
from collections.abc import Sequence

from keras_unet3d.errors import InputError

AXES = ("z", "y", "x")
"""The spatial axes in the order of every array."""


def named(values: Sequence[float], unit: str = "") -> str:
    """Write one value per axis for people: ``named((64, 244, 248)) == "x=248 y=244 z=64"``.

    Args:
        values: three values, ordered z, y, x.
        unit: written once, behind the last value.
    """
    text = " ".join(f"{axis}={value:.6g}" for axis, value in reversed(list(zip(AXES, values, strict=True))))
    return f"{text} {unit}".rstrip()


def parse_named(text: str, *, minimum: float = 0, missing: float | None = None) -> tuple[float, float, float]:
    """Read ``"x=248 y=244 z=64"``, in any order, back into ``(z, y, x)``.

    Args:
        text: as people type it.
        minimum: that every value has at least.
        missing: of axes that are left out; None where all must be there.

    Raises:
        InputError: if an axis is missing, repeated, unknown or below `minimum`.
    """
    found = re.findall(r"([A-Za-z]+)\s*=\s*([^\s,=]+)", text)
    values: dict[str, float] = {}
    for axis, value in found:
        try:
            values[axis.lower()] = float(value)
        except ValueError:
            break
    complete = len(values) == len(found) > 0
    if missing is not None:
        values = dict.fromkeys(AXES, missing) | values
    complete = complete and sorted(values) == sorted(AXES)
    if not complete or any(value < minimum for value in values.values()):
        expected = "for each axis, such as 'x=64 y=64 z=32'" if missing is None else "for some axes, such as 'z=1'"
        raise InputError(f"Expected one value of at least {minimum:g} {expected}. Received: {text!r}")
    return values["z"], values["y"], values["x"]
