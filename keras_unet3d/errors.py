"""The two ways in which work can end badly, as sentences for the person at the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike


class UNet3DError(Exception):
    """An error that is explained to the user without a traceback.

    The message says which file or option, what was found, what was expected, and what to do.
    """


class InputError(UNet3DError, ValueError):
    """The input or the call is wrong; nothing was started (exit status 2)."""


class WorkError(UNet3DError, RuntimeError):
    """The work itself failed; what was done so far is kept (exit status 1)."""


@contextmanager
def writing(path: str | PathLike[str]) -> Iterator[None]:
    """A block in which something is written at `path`.

    Raises:
        WorkError: if that fails, on a full disk for example.
    """
    try:
        yield
    except OSError as error:
        raise WorkError(f"{path}: could not be written ({error.strerror or error}).") from error
