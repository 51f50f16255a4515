"""Reading text line by line: the typed error of every skeleton reader and a bounded line source."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from dvta.errors import DataError
from dvta.limits import limits, open_regular

#: longest line any of the formats has is a BVH motion row of a few kilobytes
MAX_LINE_BYTES = 1 << 20

BOM, _WIDE = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
#: float() takes more than files may hold, such as 1_0
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


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
    need no decoding to become numbers. Lines end as on any system; a byte order mark is passed over.

    Raises:
        SkeletonError: the file cannot be opened or read, is too large, or is text of two bytes a letter.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.number = 0
        try:
            file = open_regular(path)
        except DataError as error:
            raise SkeletonError(path, str(error).removeprefix(f"{path}: ")) from error
        # Latin-1 gives every byte one character; the wrapper knows all line ends
        self._file = io.TextIOWrapper(file, encoding="latin-1", newline=None)
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        start = file.peek(4)[:4]  # type: ignore[attr-defined]
        problem = limits().exceeded("max_text_bytes", self.size, "bytes of text")
        if start.startswith(_WIDE):
            problem = "is text in UTF-16; save it as plain text (UTF-8)"
        if problem:
            self._file.close()
            raise SkeletonError(path, problem, 1)
        file.seek(len(BOM) if start.startswith(BOM) else 0)

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
            line = self._file.readline(MAX_LINE_BYTES).encode("latin-1")
        except OSError as error:
            raise SkeletonError(self.path, f"cannot be read: {error.strerror}", self.number + 1) from error
        if not line:
            return None
        self.number += 1
        if len(line) == MAX_LINE_BYTES:
            raise self.error(f"a line of more than {MAX_LINE_BYTES} bytes; this is not a skeleton file")
        return line.removesuffix(b"\n")

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
            if b"_" in text:
                raise ValueError
            value = int(text)
        except ValueError:
            raise self.error(f"{what} should be a whole number, found {shown(text)}") from None
        if not least <= value <= largest:
            raise self.error(f"{what} is {shown(text)}; allowed: {least} to {largest}")
        return value

    def floats(self, parts: Sequence[bytes], what: str) -> list[float]:
        """Return numbers, finite or not.

        Raises:
            SkeletonError: one is no number.
        """
        try:
            if b"_" in b"".join(parts):
                raise ValueError
            return [float(part) for part in parts]
        except ValueError:
            wrong = next(part for part in parts if not _NUMBER.fullmatch(part))
            hint = "; write decimals with a point" if b"," in wrong else ""
            raise self.error(f"{what} has a value that is no number: {shown(wrong)}{hint}") from None

    def numbers(self, line: bytes, count: int, what: str) -> np.ndarray:
        """Return a line of exactly ``count`` finite numbers as (count,) float64.

        Raises:
            SkeletonError: another count, no number, or not finite.
        """
        parts = line.split()
        if len(parts) != count:
            raise self.error(f"{what} has {len(parts)} values, expected {count}")
        values = np.array(self.floats(parts, what))
        if not np.isfinite(values).all():
            wrong = parts[int(np.argmin(np.isfinite(values)))]
            raise self.error(f"{what} has a value that is not finite: {shown(wrong)}")
        return values


def shown(text: bytes, most: int = 40) -> str:
    """Return a short printable form of a piece of a file, for messages."""
    decoded = text.strip().decode("ascii", "backslashreplace")
    return repr(decoded if len(decoded) <= most else decoded[:most] + "…")


def listed_names(path: Path | str, pattern: re.Pattern[str], form: str) -> frozenset[str]:
    """Read the names in a list, wherever they stand in its lines; other text is passed over.

    Args:
        pattern: of a name. form: what one looks like, for the message.

    Raises:
        SkeletonError: the file is missing or holds no name.
    """
    names: set[str] = set()
    with Lines(path) as lines:
        while (line := lines.read()) is not None:
            names.update(match.group() for match in pattern.finditer(line.decode("ascii", "replace")))
    if not names:
        raise SkeletonError(path, f"holds no name of the form {form}")
    return frozenset(names)
