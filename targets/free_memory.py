"""The free memory of this process, which large data are compared with before they are read."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from mgaudit.errors import UsageError

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
KEPT_BYTES = 2**28  # for libraries and other processes, which is never given to data


def free_memory() -> float:
    """Returns the bytes that this process can still use, or infinity if the system does not say.

    It is the least of the memory that the system can give without swapping, of the limits of the
    control groups of the process (containers, Slurm), and of its address space (`ulimit -v`).
    """
    bounds = [_of_system(), *_of_control_groups(), _of_address_space()]
    return max(min(bounds) - KEPT_BYTES, 0.0)


def check_memory(key: str, needed: float, what: str, way_out: str) -> None:
    """Raises UsageError where data need more memory than is free.

    Args:
        key: What the data are, which begins the message.
        needed: The bytes that they need.
        what: What needs them, such as "an array of shape (10, 3)".
        way_out: What to do instead.
    """
    free = free_memory()
    if needed > free:
        rule = f"must fit into the free memory of {size_text(free)}"
        raise UsageError(key, rule, f"{what}, which needs {size_text(needed)}", way_out)


def size_text(size: float) -> str:
    """Returns a number of bytes in a unit of which there are few.

    >>> size_text(1_234_567_890), size_text(12)
    ('1.2 GB', '12 bytes')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:.0f} bytes"


def _of_system() -> float:
    """Returns the bytes that the system can give to processes without swapping."""
    try:
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return 1024 * float(rest.split()[0])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def _of_control_groups() -> Iterator[float]:
    """Yields the bytes that are left in each control group with a limit (versions 1 and 2)."""
    folders = [CGROUP, CGROUP / "memory"]
    try:
        for line in OWN_CGROUP.read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers in ("", "memory"):
                top = CGROUP / controllers
                own = top / name.lstrip("/")
                folders += [own, *(up for up in own.parents if up.is_relative_to(top))]
    except (OSError, ValueError):
        pass
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    for folder in dict.fromkeys(folders):
        for limit, usage in names:
            try:
                most = float((folder / limit).read_text(encoding="ascii"))
                used = float((folder / usage).read_text(encoding="ascii"))
            except (OSError, ValueError):  # no such group, or "max"
                continue
            yield max(most - used + _page_cache(folder), 0.0)


def _page_cache(folder: Path) -> float:
    """Returns the bytes of files in the memory of a control group, which the kernel can free."""
    try:
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return float(value)
    except (OSError, ValueError):
        pass
    return 0.0


def _of_address_space() -> float:
    """Returns the bytes that are left of the limit on the address space of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return math.inf
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return math.inf
    return float(most - pages * resource.getpagesize())
