"""Reading text line by line: the typed error of every skeleton reader and a bounded line source."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from dvta.errors import DataError

#: longest line any of the formats has is a BVH motion row of a few kilobytes
MAX_LINE_BYTES = 1 << 20


class SkeletonError(DataError):
    """A skeleton or label file is missing, malformed or cut off; names the file and the line."""

    def __init__(self, path: Path | str, problem: str, line: int | None = None) -> None:
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}")
        self.path, self.problem, self.line = str(path), problem, line

    def __reduce__(self) -> tuple[type, tuple[str, str, int | None]]:
        return type(self), (self.path, self.problem, self.line)


class Lines:
    """The lines of a text file, one at a time, with their numbers and the file's size.

    Use as a context manager. Lines are bytes: the formats are ASCII numbers and names, and bytes
    need no decoding to become numbers.

    Raises:
        SkeletonError: the file cannot be opened or read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.number = 0
        try:
            self._file = self.path.open("rb")
            self.size = self.path.stat().st_size
        except OSError as error:
            raise SkeletonError(self.path, f"cannot be read: {error.strerror}") from error

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def error(self, problem: str) -> SkeletonError:
        """Return the error of the current line, for the caller to raise."""
        return SkeletonError(self.path, problem, self.number)

    def read(self) -> bytes | None:
        """Return the next line without its end, or None after the last.

        Raises:
            SkeletonError: the line is absurdly long or reading failed.
        """
        try:
            line = self._file.readline(MAX_LINE_BYTES)
        except OSError as error:
            raise SkeletonError(self.path, f"cannot be read: {error.strerror}", self.number + 1) from error
        if not line:
            return None
        self.number += 1
        if len(line) == MAX_LINE_BYTES:
            raise self.error(f"a line of more than {MAX_LINE_BYTES} bytes; this is not a skeleton file")
        return line

    def need(self, what: str) -> bytes:
        """Return the next line.

        Raises:
            SkeletonError: the file ends before ``what``.
        """
        line = self.read()
        if line is None:
            raise SkeletonError(self.path, f"the file ends before {what}", self.number + 1)
        return line

    def count(self, what: str, largest: int) -> int:
        """Return the next line as a count from 0 to ``largest``.

        Raises:
            SkeletonError: the line is no such number.
        """
        return self.whole(self.need(what), what, 0, largest)

    def whole(self, text: bytes, what: str, least: int, largest: int) -> int:
        """Return a text as an integer in the given range.

        Raises:
            SkeletonError: it is no integer, or outside the range.
        """
        try:
            value = int(text)
        except ValueError:
            raise self.error(f"{what} should be a whole number, found {shown(text)}") from None
        if not least <= value <= largest:
            raise self.error(f"{what} is {shown(text)}; allowed: {least} to {largest}")
        return value

    def numbers(self, line: bytes, count: int, what: str) -> np.ndarray:
        """Return a line of exactly ``count`` finite numbers as (count,) float64.

        Raises:
            SkeletonError: another count, no number, or not finite.
        """
        parts = line.split()
        if len(parts) != count:
            raise self.error(f"{what} has {len(parts)} values, expected {count}")
        try:
            values = np.array([float(part) for part in parts])
        except ValueError:
            raise self.error(f"{what} has a value that is no number: {shown(line)}") from None
        if not np.isfinite(values).all():
            raise self.error(f"{what} has a value that is not finite: {shown(line)}")
        return values


def shown(text: bytes, most: int = 40) -> str:
    """Return a short printable form of a piece of a file, for messages."""
    decoded = text.strip().decode("ascii", "backslashreplace")
    return repr(decoded if len(decoded) <= most else decoded[:most] + "…")
