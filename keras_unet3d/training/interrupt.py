"""Ctrl-C ends a training early and well; a second one ends it at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_early() -> Iterator[Callable[[], bool]]:
    """Turn the first interrupt into a request, which the yielded function reports; the next one interrupts as usual.

    Outside the main thread Python delivers no signals, and where a host program handles them itself they are left to
    it: nothing is ever requested.
    """
    requested = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is None:
        yield requested.is_set
        return

    def request(_signal: int, _frame: FrameType | None) -> None:
        requested.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, request)
    try:
        yield requested.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
