"""The two ways in which work can end badly, as sentences for the person at the terminal."""


class UNet3DError(Exception):
    """An error that is explained to the user without a traceback.

    The message says which file or option, what was found, what was expected, and what to do.
    """


class InputError(UNet3DError, ValueError):
    """The input or the call is wrong; nothing was started (exit status 2)."""


class WorkError(UNet3DError, RuntimeError):
    """The work itself failed; what was done so far is kept (exit status 1)."""
