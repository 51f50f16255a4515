"""Bytes as they arrive: from a file that grows, standard input, or a socket on this machine."""

from __future__ import annotations

import dataclasses
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dvta.errors import DataError
from dvta.limits import open_regular

STDIN = "-"
HERE = ("127.0.0.1", "localhost")
_CHUNK, _HELD, _POLL = 1 << 16, 256, 0.005


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Bytes with the ``perf_counter()`` at which they arrived; ``before`` if they were there when following began."""

    data: bytes
    arrived: float
    before: bool = False


def check_source(source: str) -> None:
    """Refuse what cannot be followed.

    Raises:
        DataError: it is no file, ``-`` or an address on this machine.
    """
    if source.startswith("tcp:"):
        parts = urlsplit(source)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.hostname not in HERE or port is None or parts.path not in ("", "/"):
            raise DataError(
                f"{source}: allowed: tcp://127.0.0.1:PORT, PORT 0 to 65535; only this machine is listened to"
            )
    elif source != STDIN and not Path(source).is_file():
        raise DataError(f"{source}: no such file; allowed with --watch: a file, -, or tcp://127.0.0.1:PORT")


def follow(source: str, idle: float, say: Callable[[str], None]) -> Iterator[Chunk]:
    """Yield what arrives, all that waits at a time together, until the end.

    A reader of its own notes when bytes arrive, also while a window is being scored.

    Args:
        source: a file, ``-`` (standard input) or ``tcp://127.0.0.1:PORT``, where one sender is waited for.
        idle: seconds after which a file that does not grow has ended.
        say: is told where a socket listens.

    Raises:
        DataError: the file was cut, or the port is taken.
    """
    waiting: queue.Queue[Chunk | BaseException | None] = queue.Queue(_HELD)
    stop = threading.Event()

    def put(item: Chunk | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return waiting.put(item, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for chunk in _read(source, idle, stop, say):
                put(chunk)
            put(None)
        except (DataError, OSError) as error:
            put(error if isinstance(error, DataError) else DataError(f"{source}: {error.strerror or error}"))

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            items = [waiting.get()]
            while not waiting.empty():
                items.append(waiting.get_nowait())
            chunks = [item for item in items if isinstance(item, Chunk)]
            for before in (True, False):
                some = [chunk for chunk in chunks if chunk.before is before]
                if some:
                    yield Chunk(b"".join(chunk.data for chunk in some), some[0].arrived, before)
            if isinstance(items[-1], BaseException):
                raise items[-1]
            if items[-1] is None:
                return
    finally:
        stop.set()


def _read(source: str, idle: float, stop: threading.Event, say: Callable[[str], None]) -> Iterator[Chunk]:
    if source == STDIN:
        while data := os.read(sys.stdin.fileno(), _CHUNK):
            yield Chunk(data, time.perf_counter())
    elif source.startswith("tcp:"):
        port = urlsplit(source).port or 0
        with socket.create_server((HERE[0], port)) as server:
            say(f"listening on tcp://{HERE[0]}:{server.getsockname()[1]}")
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(_CHUNK):
                    yield Chunk(data, time.perf_counter())
    else:
        yield from _grow(Path(source), idle, stop)


def _grow(path: Path, idle: float, stop: threading.Event) -> Iterator[Chunk]:
    """Yield a file's bytes, and those that are appended, until nothing was for ``idle`` seconds."""
    with open_regular(path) as file:
        there, taken = path.stat().st_size, 0
        last = time.perf_counter()
        while not stop.is_set():
            data = file.read(_CHUNK)
            now = time.perf_counter()
            if data:
                taken, last = taken + len(data), now
                yield Chunk(data, now, taken <= there)
            elif now - last >= idle:
                return
            else:
                try:
                    size = path.stat().st_size
                except FileNotFoundError:
                    return
                if size < taken:
                    raise DataError(
                        f"{path}: was cut to {size} bytes while it was watched, {taken} were read"
                    )
                stop.wait(_POLL)
