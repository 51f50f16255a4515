"""How large an input may be: settings with a default, and opening of regular files only."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path
from typing import BinaryIO

from dvta.errors import DataError


@dataclasses.dataclass(frozen=True)
class Limits:
    """What readers take; each is set by an environment variable of its name, as ``DVTA_MAX_FRAMES``.

    Attributes:
        max_joints: joints or bones of a skeleton.
        max_depth: joints in a chain from the root, or levels of a nested value.
        max_frames: frames of a recording, as it is in the file and after resampling.
        max_samples: samples or windows of an array or an archive.
        max_text_bytes: bytes of a text file.
        max_array_bytes: bytes of an array once it is unpacked.
    """

    max_joints: int = 1000
    max_depth: int = 200
    max_frames: int = 100_000
    max_samples: int = 2_000_000
    max_text_bytes: int = 1 << 30
    max_array_bytes: int = 64 << 30

    @staticmethod
    def variable(name: str) -> str:
        """Return the environment variable that sets a limit."""
        return f"DVTA_{name.upper()}"

    def exceeded(self, name: str, found: int, what: str) -> str | None:
        """Return what is wrong with ``found`` of ``what``, or None where the limit allows it."""
        allowed = getattr(self, name)
        if found <= allowed:
            return None
        return f"{found:,} {what}; allowed: at most {allowed:,}, or more with {self.variable(name)}"


def limits() -> Limits:
    """Return the limits in force.

    Raises:
        DataError: a variable holds no positive whole number.
    """
    given = {}
    for field in dataclasses.fields(Limits):
        variable = Limits.variable(field.name)
        if (text := os.environ.get(variable, "").strip()) == "":
            continue
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0):
            raise DataError(f"{variable}: {text[:40]!r} is no limit; allowed: a positive whole number")
        given[field.name] = int(text)
    return Limits(**given)


def open_regular(path: Path | str) -> BinaryIO:
    """Open a file for reading, at once: a pipe, device, socket or folder is refused, not waited for.

    Raises:
        DataError: it is missing, cannot be opened, or is no regular file.
    """
    try:
        # a pipe without a writer would block the opening itself
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path}: not a regular file; pipes, devices and folders are not read")
    return open(descriptor, "rb")
