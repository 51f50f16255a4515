"""A store as one file that travels: a store of finished attempts with a digest of every table's content.

An archive is an SQLite store, so that every reader of a store reads it. Two more tables say what it is:
``archive`` (``format``, ``schema``, ``program``, ``made``) and ``archive_table``, the rows and the SHA-256
of each table. The digests find damage, not forgery: whoever changes an archive can write new ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import StoreError
from orchestrator.settings import sqlite_url
from orchestrator.store.merge import Merged, merge
from orchestrator.store.schema import REVISION
from orchestrator.store.store import Store

FORMAT = "1"
_ABOUT = ("archive", "archive_table")


def write_archive(store: Store, path: Path, study: str | None = None) -> tuple[Merged, str]:
    """Write what a store has of finished attempts to a new file; return its content and its digest.

    Args:
        study: only this study and its trials.

    Raises:
        StoreError: the file exists or cannot be written, or there is no such study.
    """
    if path.exists():
        raise StoreError(f"archive {path}: exists; name a new file, or move that one away")
    only = None if study is None else store.find_study(study)[0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            made = Path(folder) / "archive.db"
            new = Store.open(sqlite_url(made))
            content = merge(store, new, only)
            new.engine.dispose()
            with contextlib.closing(sqlite3.connect(made)) as file:
                # one file: nothing stays beside it
                file.execute("PRAGMA journal_mode=DELETE")
                _seal(file)
                digest = _whole(file)
            os.replace(made, path)
    except OSError as error:
        raise StoreError(f"archive {path}: cannot be written ({error.strerror})") from error
    except sqlite3.Error as error:
        raise StoreError(f"archive {path}: cannot be written ({error})") from error
    return content, digest


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Store, str]]:
    """Give the store in an archive, checked and in a copy of its own, and the archive's digest.

    Raises:
        StoreError: it is no archive, is damaged, or is of a newer program.
    """
    with tempfile.TemporaryDirectory(prefix="dvta-orch-archive-") as folder:
        copy = Path(folder) / "archive.db"
        with _refusals(path):
            snapshot(path, copy)
            with contextlib.closing(sqlite3.connect(copy)) as file:
                digest = _check(file, path)
        store = Store.open(sqlite_url(copy))
        try:
            yield store, digest
        finally:
            store.engine.dispose()


def import_archive(path: Path, store: Store) -> Merged:
    """Add what an archive has and a store has not; see :func:`orchestrator.store.merge.merge`.

    Raises:
        StoreError: the archive is refused; the store is then as it was.
    """
    with opened(path) as (content, digest):
        try:
            return merge(content, store, origin=f"archive {digest}")
        except StoreError as error:
            raise StoreError(f"archive {path}: {error}") from None
        except (SQLAlchemyError, ValueError, TypeError) as error:
            raise StoreError(f"archive {path}: is damaged ({_first_line(error)})") from error


def snapshot(path: Path, copy: Path) -> None:
    """Copy an SQLite file as it is at one moment, also while somebody writes it; the file is only read."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file")
    source = f"{path.resolve().as_uri()}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(source, uri=True)) as old,
        contextlib.closing(sqlite3.connect(copy)) as new,
    ):
        old.backup(new)


def check_copy(copy: Path, place: str) -> None:
    """Check a copy of a file if that is an archive.

    Raises:
        StoreError: the archive is damaged, or of a newer format; the message names ``place``.
    """
    with contextlib.closing(sqlite3.connect(copy)) as file:
        if set(_ABOUT) & set(_tables(file, everything=True)):
            with _refusals(Path(place)):
                _check(file, Path(place))


def _seal(file: sqlite3.Connection) -> None:
    """Write what an archive says of itself."""
    about = {
        "format": FORMAT,
        "schema": REVISION,
        "program": metadata.version("dvta-orch"),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    file.execute("CREATE TABLE archive (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    file.executemany("INSERT INTO archive VALUES (?, ?)", about.items())
    file.execute(
        'CREATE TABLE archive_table (name TEXT PRIMARY KEY, "rows" INTEGER NOT NULL, sha256 TEXT NOT NULL)'
    )
    rows = [(name, *_digest(file, name)) for name in _tables(file)]
    file.executemany("INSERT INTO archive_table VALUES (?, ?, ?)", rows)
    file.commit()


def _check(file: sqlite3.Connection, path: Path) -> str:
    """Return the digest of a whole archive after comparing every table with its own."""
    file.execute("PRAGMA trusted_schema=OFF")
    kinds = {kind for (kind,) in file.execute("SELECT DISTINCT type FROM sqlite_master")}
    tables = set(_tables(file, everything=True))
    if not tables.issuperset(_ABOUT):
        raise StoreError(
            f"archive {path}: is no archive of a store; one is written with: dvta-orch db export --archive FILE"
        )
    about = dict(file.execute("SELECT name, value FROM archive"))
    if about.get("format") != FORMAT or str(about.get("schema", "")) > REVISION:
        raise StoreError(
            f"archive {path}: is of format {about.get('format')} and schema {about.get('schema')}, newer than this "
            f"program's {FORMAT} and {REVISION}; update dvta-orch"
        )
    noted = {name: (rows, digest) for name, rows, digest in file.execute("SELECT * FROM archive_table")}
    if not kinds <= {"table", "index"} or set(noted) != tables - set(_ABOUT):
        raise StoreError(f"archive {path}: is damaged (it holds other tables than it names)")
    for name, expected in noted.items():
        if _digest(file, name) != expected:
            raise StoreError(
                f"archive {path}: is damaged (the content of table {name!r} is not what its digest says)"
            )
    return _whole(file)


def _tables(file: sqlite3.Connection, *, everything: bool = False) -> list[str]:
    """Return the names of the tables whose content counts."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    found = [str(name) for (name,) in file.execute(query)]
    return found if everything else [name for name in found if name not in _ABOUT]


def _digest(file: sqlite3.Connection, table: str) -> tuple[int, str]:
    """Return the rows of a table and the SHA-256 of their content in the order of its key."""
    quoted = '"' + table.replace('"', '""') + '"'
    columns = file.execute(f"PRAGMA table_info({quoted})").fetchall()
    names = [f'"{name}"' for _, name, *_ in columns]
    key = [f'"{name}"' for _, name, _, _, _, part in sorted(columns, key=lambda c: c[5]) if part]
    state = hashlib.sha256(json.dumps([name for _, name, *_ in columns]).encode())
    count = 0
    for row in file.execute(f"SELECT {', '.join(names)} FROM {quoted} ORDER BY {', '.join(key or names)}"):
        state.update(json.dumps(row).encode())
        count += 1
    return count, state.hexdigest()


def _whole(file: sqlite3.Connection) -> str:
    """Return one digest of all tables; two archives of an unchanged store have the same."""
    rows = file.execute("SELECT * FROM archive_table ORDER BY name").fetchall()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise StoreError(f"archive {path}: is damaged, or something else ({error})") from error
    except OSError as error:
        raise StoreError(f"archive {path}: cannot be read ({error.strerror})") from error


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
