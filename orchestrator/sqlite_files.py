"""SQLite files that are whole or not there: made under another name, renamed once they are complete."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

LEFT_BEHIND_SECONDS = 3600.0  # after which a file that is being made is nobody's


def make_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Make an SQLite file that nobody sees before it is complete; one made meanwhile by another stays.

    Args:
        make: is given the name under which it makes the file, all of it committed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_up(path)
    made = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        make(made)
        with contextlib.closing(sqlite3.connect(made)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            made.rename(path)
    finally:
        for left in made.parent.glob(f"{made.name}*"):
            left.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a broken file and what belongs to it; return its new name."""
    names = (path.with_name(f"{path.name}.broken-{n}") for n in itertools.count(1))
    new = next(name for name in names if not name.exists())
    path.rename(new)
    for ending in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(new.with_name(new.name + ending))
    return new


def count_rows(path: Path, table: str) -> int | None:
    """Return how many rows a table has, 0 where there is none, None where the file cannot be read."""
    if path.stat().st_size == 0:
        return 0
    known = first_value(path, f"SELECT count(*) FROM sqlite_master WHERE name = '{table}'")
    if not known:
        return None if known is None else 0
    found = first_value(path, f'SELECT count(*) FROM "{table}"')
    return None if found is None else int(found)


def first_value(path: Path, query: str) -> Any:
    """Return the first value of a query that only reads, None without one or where the file cannot be read."""
    # not read-only: what a killed process left in the journal has to be rolled back first
    url = f"file:{quote(str(path.resolve()))}?mode=rw"
    try:
        with contextlib.closing(sqlite3.connect(url, uri=True, timeout=60)) as connection:
            row = connection.execute(query).fetchone()
    except sqlite3.Error:  # no database, damaged, busy, or without the table
        return None
    return row[0] if row else None


def _sweep_up(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*.partial*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_SECONDS:
                left.unlink()
