"""The text in which TensorFlow Serving's files are written, read with the places of everything in it.

Protocol Buffers' own reader gives a message, and writing that loses comments and what the reader does not know. Here it
is seen where each field stands, so that one can be changed and all else left as it is.

https://protobuf.dev/reference/protobuf/textformat-spec
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_TOKENS = re.compile(
    r"""(?P<nothing>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[\w.+-]+)
    |(?P<sign>[{}<>\[\]:;,/])""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class Field:
    """One value of a field.

    Attributes:
        name: of the field.
        start: where it begins in the text; values of one list begin together.
        stop: where it and its separator end.
        text: what stands there, of a value that is no message.
        fields: of a message, in order.
        inner_start: where they begin, behind the bracket.
        inner_stop: where they end, at the bracket.
    """

    name: str
    start: int
    stop: int
    text: str
    fields: tuple["Field", ...] = ()
    inner_start: int = 0
    inner_stop: int = 0

    def all(self, name: str) -> list["Field"]:
        """The values of a field of this message."""
        return [each for each in self.fields if each.name == name]

    @property
    def string(self) -> str:
        """The text that is quoted here.

        Raises:
            ValueError: if none is.
        """
        try:
            found = ast.literal_eval(f"({self.text})")
        except (SyntaxError, ValueError):
            found = None
        if not isinstance(found, str):
            raise ValueError(f"{self.name} is {self.text or 'a message'}, which is no text in quotation marks")  # noqa: TRY004
        return found

    @property
    def integer(self) -> int:
        """The whole number that stands here.

        Raises:
            ValueError: if none does.
        """
        try:
            return int(self.text, 0)
        except ValueError as error:
            raise ValueError(f"{self.name} is {self.text or 'a message'}, which is no whole number") from error


def read_text(text: str) -> Field:
    """Read a whole file.

    Returns:
        The message that it is.

    Raises:
        ValueError: if it is no such text; the message names the line.
    """
    return Field("", 0, len(text), "", _Reader(text).fields(""), 0, len(text))


class _Token(NamedTuple):
    """A word, a string in its quotation marks, or a sign; the empty sign is the end."""

    kind: str
    text: str
    start: int
    stop: int


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = _TOKENS.match(text, place)
        if found is None:
            raise ValueError(f"line {_line(text, place)}: {text[place]!r} was not expected")
        place = found.end()
        if found.lastgroup != "nothing":
            yield _Token(str(found.lastgroup), found[0], found.start(), found.end())
    yield _Token("sign", "", len(text), len(text))


class _Reader:
    """Goes through the text once."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._place = text, list(_tokens(text)), 0

    def fields(self, closing: str) -> tuple[Field, ...]:
        """All fields up to the closing bracket, which is not taken."""
        found: list[Field] = []
        while (self._next.kind, self._next.text) != ("sign", closing):
            found += self._field()
        return tuple(found)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self, *signs: str) -> _Token | None:
        """The next token, if it is one of these signs."""
        token = self._next
        if token.kind != "sign" or token.text not in signs:
            return None
        self._place += 1
        return token

    def _expect(self, sign: str) -> _Token:
        token = self._take(sign)
        if token is None:
            raise self._wrong(f"{sign!r} was expected")
        return token

    def _wrong(self, what: str) -> ValueError:
        found = repr(self._next.text) if self._next.text else "the end"
        return ValueError(f"line {_line(self._text, self._next.start)}: {what}, and {found} found")

    def _field(self) -> list[Field]:
        start = self._next.start
        name = self._name()
        self._take(":")
        values = self._list() if self._take("[") else [self._value()]
        self._take(",", ";")
        stop = self._tokens[self._place - 1].stop
        return [Field(name, start, stop, *value) for value in values]

    def _name(self) -> str:
        if self._take("["):  # a type's, as in [type.googleapis.com/some.Type]
            start = self._next.start
            while self._next.kind == "word" or (self._next.kind == "sign" and self._next.text == "/"):
                self._place += 1
            return self._text[start : self._expect("]").start]
        if self._next.kind != "word":
            raise self._wrong("the name of a field was expected")
        self._place += 1
        return self._tokens[self._place - 1].text

    def _list(self) -> list[tuple[str, tuple[Field, ...], int, int]]:
        values: list[tuple[str, tuple[Field, ...], int, int]] = []
        while not self._take("]"):
            if values:
                self._expect(",")
            values.append(self._value())
        return values

    def _value(self) -> tuple[str, tuple[Field, ...], int, int]:
        opening = self._take(*_CLOSING)
        if opening is not None:
            fields = self.fields(_CLOSING[opening.text])
            return "", fields, opening.stop, self._expect(_CLOSING[opening.text]).start
        start, kind = self._next.start, self._next.kind
        if kind == "sign":
            raise self._wrong("a value was expected")
        self._place += 1
        while kind == "string" and self._next.kind == "string":  # several in a row are one
            self._place += 1
        return self._text[start : self._tokens[self._place - 1].stop], (), 0, 0


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
