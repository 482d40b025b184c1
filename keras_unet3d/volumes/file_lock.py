"""One process at a time, by a lock that ends with the process, however that ends."""

import sys
from typing import TextIO


def locked(file: TextIO) -> bool:
    """Whether nobody else holds this open file; it is held until it is closed, or the process ends in whatever way.

    On Windows, and on file systems without locks, everybody may.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
