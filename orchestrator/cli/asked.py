"""The phrases a person asks about: given in the command, or in a file that may change while it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvta.errors import DataError
from dvta.limits import limits, open_regular


class Asked:
    """Phrases and a sentence for each.

    Args:
        given: ``WORDS`` or ``WORDS=CONTEXT SENTENCE``, as in the command.
        path: a file of such, one a line, instead; empty lines and those that begin with ``#`` say nothing.

    Raises:
        DataError: neither or both are given, or the file is unreadable.
    """

    def __init__(self, given: Sequence[str] | None, path: Path | None) -> None:
        if bool(given) == (path is not None):
            raise DataError("phrases: allowed: words in the command, or --phrases FILE, and not both")
        self._path, self._stamp = path, _stamp(path)
        self.phrases, self.contexts = _parted(given or [], "phrases") if path is None else _read(path)

    def changed(self) -> bool:
        """Read the file again if it is another than before; return whether the phrases changed.

        Raises:
            DataError: it is unreadable now; the phrases stay as they were.
        """
        if self._path is None or (stamp := _stamp(self._path)) == self._stamp:
            return False
        self._stamp = stamp
        found = _read(self._path)
        before, (self.phrases, self.contexts) = (self.phrases, self.contexts), found
        return found != before


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None


def _read(path: Path) -> tuple[list[str], list[str]]:
    with open_regular(path) as file:
        content = file.read(min(limits().max_text_bytes, 1 << 24) + 1)
    if len(content) > 1 << 24:
        raise DataError(f"{path}: more than {1 << 24:,} bytes of phrases")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8") from error
    return _parted([line.strip() for line in lines if line.strip() and not line.startswith("#")], str(path))


def _parted(lines: Sequence[str], place: str) -> tuple[list[str], list[str]]:
    phrases = [line.partition("=")[0].strip() for line in lines]
    contexts = [line.partition("=")[2].strip() or phrase for line, phrase in zip(lines, phrases, strict=True)]
    if not phrases:
        raise DataError(f"{place}: holds no phrase")
    for index, phrase in enumerate(phrases):
        if not phrase or phrase in phrases[:index]:
            raise DataError(f"{place}: {lines[index]!r}: a phrase is empty or stands twice")
    return phrases, contexts
