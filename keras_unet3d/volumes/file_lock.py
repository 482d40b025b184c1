"""One process at a time, by a lock that ends with the process, however that ends."""

import sys
from typing import TextIO


def locked(file: TextIO, *, shared: bool = False) -> bool:
    """Whether nobody else holds this open file; it is held until it is closed, or the process ends in whatever way.

    On Windows, and on file systems without locks, everybody may.

    Args:
        file: open.
        shared: whether others may hold it who share it, too.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
