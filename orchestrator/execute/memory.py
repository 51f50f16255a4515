"""Memory of a training process on CPU: freed pages are kept for the next step, and given back at the end."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

# the parameters' numbers in glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


@functools.cache
def keep_freed_pages() -> bool:
    """Let glibc keep large freed blocks instead of returning them, for the rest of the process.

    By default every tensor above 32 MiB is mapped and unmapped anew, and each of its pages faults on
    first use; a training step then waits for the kernel more than for arithmetic. The process holds
    up to its peak until :func:`give_back_freed_pages`.

    Returns:
        Whether it took effect; False where the C library is not glibc, and nothing is changed.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * 2**20))
    return all(mallopt(name, value) == 1 for name, value in settings)


def give_back_freed_pages() -> None:
    """Return the pages that :func:`keep_freed_pages` kept to the system."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform.startswith("linux") else None
