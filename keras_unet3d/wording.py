"""Words for numbers and names of things, the same in every sentence."""

from collections.abc import Sequence


def counted(count: int, thing: str) -> str:
    """``1 case``, ``2,000 cases``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def rounded(size: float, digits: int = 3) -> str:
    """To so many digits, without powers of ten up to a billion."""
    return f"{float(f'{size:.{digits}g}'):,.10g}"


def few(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are: ``a, b, c and 4 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
