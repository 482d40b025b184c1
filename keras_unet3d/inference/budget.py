"""How much memory the work may take.

A budget is the resident memory of the whole process: what it holds already and what it will take.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from keras_unet3d.errors import InputError

SHARE = 0.75
"""The share of the free memory that is taken where nobody names a budget; the rest is for everyone else."""

_UNITS = {"g": 10**9, "gb": 10**9, "gib": 2**30, "m": 10**6, "mb": 10**6, "mib": 2**20}
_CGROUPS, _PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self")


def parse_memory(text: str) -> int:
    """Read an amount of memory into bytes: ``parse_memory("6GB") == 6_000_000_000``.

    GB and MB (or G and M) are powers of 1000, GiB and MiB powers of 1024, in any case, with or without a space.

    Raises:
        InputError: if it is anything else; a number alone, too, as nothing says what it counts.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", text.strip().lower(), flags=re.ASCII)
    if found and not found[2]:
        raise InputError(f"Expected memory with its unit, such as {found[1]}GB or {found[1]}MB. Received: {text!r}")
    amount = round(float(found[1]) * _UNITS.get(found[2], 0)) if found else 0
    if amount < 1:
        raise InputError(f"Expected memory above 0, such as 6GB, 1.5GB, 500MB or 6GiB. Received: {text!r}")
    return amount


def shown(amount: float, *, rounded_up: bool = False) -> str:
    """Write bytes for people, in GB, or in MB where it is less than one: ``shown(6_000_000_000) == "6.0 GB"``.

    Args:
        amount: bytes.
        rounded_up: never name less than the amount, for a budget that has to suffice.
    """
    digits, unit, size = (1, "GB", 1e9) if amount >= 999.5e6 else (0, "MB", 1e6)
    if rounded_up:
        step = size / 10**digits
        amount = -(-amount // step) * step
    return f"{amount / size:.{digits}f} {unit}"


def default_budget() -> int:
    """The budget where nobody names one, in bytes: what this process holds, and `SHARE` of what is free."""
    return int(held_memory() + SHARE * free_memory())


def held_memory() -> int:
    """Bytes that this process holds now, in memory."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_memory(cgroups: Path = _CGROUPS, process: Path = _PROCESS) -> int:
    """Bytes that this process can still take: of this machine, of its container or job, and of its own limits.

    On Linux the smallest of: what the machine has available; what is left in each control group of the process, up to
    the root (version 2 and 1; Docker, Kubernetes, Slurm and systemd limit memory with them), where cached files count
    as free; and what is left of ``ulimit -v`` and ``ulimit -d``. Elsewhere what the machine has available.
    What cannot be read is no limit.

    Args:
        cgroups: where control groups are mounted.
        process: this process in ``/proc``.
    """
    import psutil

    free = [int(psutil.virtual_memory().available)]
    if sys.platform == "linux":
        free += [left for folder in _groups(cgroups, process) for left in _left_in_group(folder)]
        free += _left_of_limits()
    return max(0, min(free))


def _groups(cgroups: Path, process: Path) -> Iterator[Path]:
    """Folders of the control groups that may limit this process, from its own up to the root.

    A container often sees its own group as the root, while the path is that of the host: folders that do not exist are
    left out.
    """
    try:
        lines = (process / "cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        lines = ["0::/", "0:memory:/"]
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            root = cgroups
        elif "memory" in controllers.split(","):
            root = cgroups / "memory"
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for folder in (inner, *inner.parents):
            if ".." not in folder.parts and (root / folder).is_dir():
                yield root / folder


def _left_in_group(folder: Path) -> Iterator[int]:
    """Bytes left of each limit of a control group.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#memory and …/cgroup-v1/memory.html
    """
    used, limits, prefix = _number(folder / "memory.current"), ["memory.max", "memory.high"], ""
    if used is None:
        used, limits, prefix = _number(folder / "memory.usage_in_bytes"), ["memory.limit_in_bytes"], "total_"
    if used is None:
        return
    # Not "file" or "cache": these count shared memory, which nothing but swap can take.
    cached = sum(_statistic(folder / "memory.stat", f"{prefix}{state}_file") for state in ("inactive", "active"))
    for limit in (_number(folder / name) for name in limits):
        if limit is not None:
            yield limit - max(0, used - cached)


def _left_of_limits() -> Iterator[int]:
    """Bytes left of this process' own limits."""
    import resource

    import psutil

    held = psutil.Process().memory_info()
    for kind, used in ((resource.RLIMIT_AS, held.vms), (resource.RLIMIT_DATA, held.data)):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - used


def _number(path: Path) -> int | None:
    """The number in a file; None where it says "max" or cannot be read."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _statistic(path: Path, name: str) -> int:
    """The number behind a name in a file of such lines, 0 where there is none."""
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == name), 0)
    except (OSError, ValueError):
        return 0
