"""HTML that is escaped unless it was made here."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | float | bool | None) -> Html:
    """An element; what is not `Html` among its children is text and is escaped, and so is every attribute.

    Args:
        tag: its name.
        children: text and elements.
        attributes: by their names, with an underscore for a dash, and one behind words of Python (``class_``). True is
            an attribute without a value, None and False none at all.
    """
    opened = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        written = name.rstrip("_").replace("_", "-")
        opened.append(written if value is True else f'{written}="{escape(str(value))}"')
    start = f"<{' '.join(opened)}>"
    return Html(start if tag in _EMPTY else f"{start}{joined(children)}</{tag}>")


def joined(children: Iterable[str], between: str = "") -> Html:
    """Text and elements one after the other."""
    return Html(between.join(child if isinstance(child, Html) else escape(child) for child in children))


def asset(name: str) -> str:
    """The text of a file that is part of reports."""
    return files("keras_unet3d.evaluation").joinpath("assets", name).read_text(encoding="utf-8")


_EMPTY = frozenset({"br", "img", "input", "meta"})
"""Elements that hold nothing and are not closed."""
