"""What a command says, and where: results on stdout, everything about the way there on stderr."""

import json
import os
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 140


class Terminal:
    """The two streams of a command.

    Args:
        quiet: say nothing but results that were asked for, warnings and errors.
        as_json: keep stdout for one JSON object.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.stderr = _console(stderr=True)
        self.quiet = quiet
        self._as_json = as_json
        self._stdout = self.stderr if as_json else _console(stderr=False)

    def say(self, text: str) -> None:
        """A line of the result."""
        if not self.quiet:
            _line(self._stdout, text)

    def note(self, text: str) -> None:
        """A line about the way there."""
        if not self.quiet:
            _line(self.stderr, text)

    def warn(self, text: str) -> None:
        """Something to know, also if quiet."""
        _line(self.stderr, f"Warning: {text}")

    def aside(self) -> "Terminal":
        """The same with its results on stderr, too: where stdout holds what may go to a file."""
        return Terminal(quiet=self.quiet, as_json=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False) -> None:
        """A table of the result: its first column on the left, the others on the right.

        Args:
            header: a title per column.
            rows: of cells.
            total: whether the last row sums up the others.
        """
        if self.quiet:
            return
        table = Table(box=box.SIMPLE, pad_edge=False)
        for number, title in enumerate(header):
            breakable = number == 0 or any(" " in row[number] for row in rows)  # numbers are not
            table.add_column(Text(title), justify="right" if number else "left", overflow="fold", no_wrap=not breakable)
        for number, row in enumerate(rows):
            last = total and number == len(rows) - 2
            table.add_row(*(Text(cell) for cell in row), end_section=last)
        self._stdout.print(table)

    def result(self, plain: Any) -> None:
        """The one JSON object on stdout, if it was asked for."""
        if self._as_json:
            _line(_console(stderr=False), json.dumps(plain, indent=2))


class _Console(Console):
    """Work goes on when a reader such as `head` has seen enough."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def _line(console: Console, text: str) -> None:
    """Print as it is, unbroken: paths and JSON are copied, and read by machines."""
    console.print(Text(text), soft_wrap=True)
