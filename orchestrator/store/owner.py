"""Who holds a lease: a driver process, named so that its death can be noticed on the same machine."""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path


def new_owner() -> str:
    """Return a name for this process that no other process ever has."""
    return "/".join([*_here(), str(os.getpid()), _started(os.getpid()) or "0", uuid.uuid4().hex[:8]])


def is_dead(owner: str) -> bool:
    """Return whether the process of that name is known to be gone.

    Known only for processes of this machine, this boot and this process namespace; of any other
    the lease's deadline decides.
    """
    parts = owner.split("/")
    if len(parts) != 6 or parts[:3] != _here():
        return False
    return _started(int(parts[3])) != parts[4]


def _here() -> list[str]:
    return [platform.node(), _read("/proc/sys/kernel/random/boot_id")[:8], _namespace()]


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]")
    except OSError:
        return "0"


def _started(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot, or None when it is gone."""
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return None
    # the command name in parentheses may contain blanks
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
