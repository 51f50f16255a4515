"""Who holds a lease: a driver process, named so that its death can be noticed on the same machine."""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path

import psutil


def new_owner() -> str:
    """Return a name for this process that no other process ever has."""
    return "/".join([*_machine(), str(os.getpid()), _started(os.getpid()) or "0", uuid.uuid4().hex[:8]])


def is_dead(owner: str) -> bool:
    """Return whether the process of that name is known to be gone.

    Known only for processes of this machine, this boot and this process namespace; of any other
    the lease's deadline decides.
    """
    parts = owner.split("/")
    if len(parts) != 6 or parts[:3] != _machine():
        return False
    return _started(int(parts[3])) != parts[4]


def _machine() -> list[str]:
    """Return host, boot and process namespace; the last two are Linux's, empty elsewhere."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        namespace = os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]")
    except OSError:
        return [platform.node(), str(int(psutil.boot_time())), "0"]
    return [platform.node(), boot, namespace]


def _started(pid: int) -> str | None:
    """Return when a process started, in hundredths of a second since boot, or None when it is gone."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        # both move with the clock when somebody sets it; their difference never does
        return str(round(100 * (process.create_time() - psutil.boot_time())))
    except psutil.NoSuchProcess:
        return None
