"""What a training session prints, kept in a file of bounded size.

Captured are Python's standard output, standard error, warnings and logs of the thread that trains; they
go where they went before, too. An attempt that prints nothing has no file, and a file that cannot be
written fails no attempt.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.execute.checkpoints import read_bytes, write_bytes

LEFT_OUT = b"\n[... output was left out here ...]\n"


class Log:
    """The log of one attempt, made by its first output.

    Args:
        path: a path, or a URL that fsspec knows, to which the file goes when it is closed.
        limit: bytes; a file that would grow larger keeps its first and its last quarter. 0 keeps none.
    """

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._limit = path, limit
        self._remote = "://" in path
        self._local: Path | None = None
        self._file: Any = None
        self._size = 0
        self.begun = False  # whether this session has written anything

    def write(self, text: str) -> None:
        """Append a text at once, so that a killed process leaves it behind."""
        if not self._limit or not text:
            return
        try:
            if self._file is None:
                self._open()
            content = text.encode(errors="replace")[-self._limit :]
            self._file.write(content)
            self._size += len(content)
            if self._size > self._limit:
                self._shorten()
        except OSError:
            self._limit = 0  # a full disk is the checkpoints' to report

    def close(self) -> None:
        """Close the file until there is more to write; take it to its URL."""
        if self._file is None or self._local is None:
            return
        with contextlib.suppress(OSError):
            self._file.close()
            if self._remote:
                write_bytes(self._path, self._local.read_bytes())
                self._local.unlink()
        self._file = self._local = None

    def _open(self) -> None:
        self._local = self._place()
        self._file = self._local.open("r+b", buffering=0)
        self._size = self._file.seek(0, os.SEEK_END)
        if self.begun:
            return
        self.begun = True
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._size += self._file.write(f"--- {now}, {platform.node()}, process {os.getpid()}\n".encode())

    def _place(self) -> Path:
        """Return the file on this machine, with what an earlier session has left."""
        if not self._remote:
            path = Path(self._path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            return path
        handle, name = tempfile.mkstemp(prefix="dvta-orch-", suffix=".log")
        with os.fdopen(handle, "wb") as file:
            file.write(read_bytes(self._path) or b"")
        return Path(name)

    def _shorten(self) -> None:
        quarter = self._limit // 4
        self._file.seek(self._size - quarter)
        last = self._file.read(quarter)
        self._file.seek(quarter)
        self._file.write(LEFT_OUT + last)
        self._file.truncate()
        self._size = self._file.tell()


@contextlib.contextmanager
def capturing(log: Log) -> Iterator[None]:
    """Write to a log, too, what this thread prints and logs meanwhile."""
    out, err = sys.stdout, sys.stderr
    root = logging.getLogger()
    # without any handler Python prints warnings to standard error, which is captured
    handler = _Handler(log) if root.handlers else None
    tees = _Tee(out, log), _Tee(err, log)
    sys.stdout, sys.stderr = tees
    if handler:
        root.addHandler(handler)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        for tee in tees:
            tee.end()
        if handler:
            root.removeHandler(handler)


class _Tee:
    """A stream that writes to another as well, and to a log what its own thread writes."""

    def __init__(self, stream: Any, log: Log) -> None:
        self._stream, self._log = stream, log
        self._thread: int | None = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            self._log.write(text)
        self._stream.write(text)
        return len(text)

    def end(self) -> None:
        """Leave the log alone from now on: a handler may have kept this stream."""
        self._thread = None

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Handler(logging.Handler):
    """Takes the records of its own thread, where handlers hold streams of their own."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log, self._thread = log, threading.get_ident()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._log.write(self.format(record) + "\n")
