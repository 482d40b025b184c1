"""Units of length: how files spell them, and what they are worth."""

IN_MM = {"m": 1e3, "cm": 10.0, "mm": 1.0, "µm": 1e-3, "nm": 1e-6}
"""The units a grid can have, in millimetres."""

_SPELLINGS = {
    "m": ("meter", "metre"),
    "cm": ("centimeter", "centimetre"),
    "mm": ("millimeter", "millimetre"),
    "µm": ("um", "\u03bcm", "\\u00b5m", "micron", "micrometer", "micrometre"),
    "nm": ("nanometer", "nanometre"),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in (unit, *spellings)}
_OTHERS = {"inch": ("mm", 25.4), "in": ("mm", 25.4), "å": ("nm", 0.1), "angstrom": ("nm", 0.1)}


def read_unit(text: str | None) -> tuple[str, float]:
    """The unit that a file means, and the factor that brings its lengths to it: ``read_unit("inch") == ("mm", 25.4)``.

    What is no length that is known here ("pixel", nothing at all) is ``("", 1.0)``.
    """
    spelled = (text or "").strip().strip("\"'").lower()
    if spelled in _OTHERS:
        return _OTHERS[spelled]
    return _UNIT_OF.get(spelled) or _UNIT_OF.get(spelled.removesuffix("s"), ""), 1.0
