"""A length with its unit, as people write it."""

import math
import re
from dataclasses import dataclass

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.units import IN_MM, read_unit

_FORM = re.compile(r"\s*([-+0-9.eE]+|inf|nan)\s*(.*?)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Length:
    """Some way in space.

    Attributes:
        value: 0 or more, in `unit`.
        unit: one of `units.IN_MM`, or ``""`` for that of whatever it is compared with.
    """

    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value >= 0):
            raise InputError(f"Expected a length of 0 or more, such as '2 mm'. Received: {self}")

    @classmethod
    def parse(cls, text: str) -> "Length":
        """Read ``"2 mm"`` or ``"2"``.

        Raises:
            InputError: for anything else.
        """
        match = _FORM.fullmatch(text)
        try:
            value = float(match[1]) if match else math.nan
        except ValueError:
            value = math.nan
        spelled = match[2] if match else ""
        unit, factor = read_unit(spelled)
        if not math.isfinite(value) or (spelled and not unit):
            raise InputError(f"Expected a length such as '2 mm', or '2' in the unit of the grid. Received: {text!r}")
        return cls(value * factor, unit)

    def in_unit(self, unit: str) -> float:
        """The same length in another unit; unchanged where either unit is unknown."""
        known = unit in IN_MM and self.unit in IN_MM
        return self.value * (IN_MM[self.unit] / IN_MM[unit] if known else 1.0)

    def __str__(self) -> str:
        return f"{self.value:.6g} {self.unit}".rstrip()
