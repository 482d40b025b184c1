"""One process at a time, by a lock that ends with the process, however that ends."""

import errno
import sys
import warnings
from typing import TextIO

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


def locked(file: TextIO, *, shared: bool = False) -> bool:
    """Whether nobody else holds this open file; it is held until it is closed, or the process ends in whatever way.

    On Windows, and on file systems without locks, everybody may; of the latter a warning tells.

    Args:
        file: open for reading and writing, as NFS locks no other.
        shared: whether others may hold it who share it, too.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        warnings.warn(
            f"This file system has no locks ({error.strerror}): nothing keeps two calls from writing the same output. "
            f"Make sure that there is one, or those of one --dask or --part.",
            stacklevel=2,
        )
    return True
