"""Several stores read as one, none of them written."""

from __future__ import annotations

import sqlite3
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.settings import sqlite_path, sqlite_url
from orchestrator.store.archive import check_copy, snapshot
from orchestrator.store.merge import Merged, merge
from orchestrator.store.store import Store


def open_several(places: Sequence[str]) -> tuple[Store, list[tuple[str, Merged]]]:
    """Return a store that has what several have, in a file of its own, and what each of them added.

    Files are read as they are at one moment and never written, not even to migrate them; a server is
    opened as by :meth:`Store.open`.

    Args:
        places: URLs of stores, or paths of SQLite stores and archives.

    Raises:
        StoreError: one of them cannot be read.
    """
    folder = tempfile.TemporaryDirectory(prefix="dvta-orch-stores-")
    together = Store.open(sqlite_url(Path(folder.name) / "all.db"))
    weakref.finalize(together, folder.cleanup)
    added = []
    for i, place in enumerate(places):
        path = sqlite_path(place) if "://" in place else Path(place)
        url = place
        if path is not None:
            copy = Path(folder.name) / f"{i}.db"
            try:
                snapshot(path, copy)
                check_copy(copy, place)
            except (OSError, sqlite3.Error) as error:
                raise StoreError(f"store {place}: cannot be read ({error})") from error
            url = sqlite_url(copy)
        try:
            source = Store.open(url, create=False)
        except StoreError as error:  # a person knows nothing of the copy
            raise StoreError(str(error).replace(url, place).replace(str(sqlite_path(url)), place)) from error
        try:
            added.append((place, merge(source, together)))
        finally:
            source.engine.dispose()
    return together, added
