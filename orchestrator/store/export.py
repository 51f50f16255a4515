"""The store as CSV files, one per table, for people who bring their own tools."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import StoreError
from orchestrator.store.schema import Base
from orchestrator.store.store import Store


def export(store: Store, folder: Path) -> dict[str, int]:
    """Write every table to ``<folder>/<table>.csv`` and return the row counts.

    Rows are streamed; JSON columns stay JSON.

    Raises:
        StoreError: the folder cannot be written, or the store not read.
    """
    counts = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with store.engine.connect() as connection:
            for table in Base.metadata.sorted_tables:
                order = list(table.primary_key.columns)
                rows = connection.execution_options(yield_per=5000).execute(sa.select(table).order_by(*order))
                counts[table.name] = 0
                with (folder / f"{table.name}.csv").open("w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow(c.name for c in table.columns)
                    for row in rows:
                        writer.writerow(map(_plain, row))
                        counts[table.name] += 1
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    except SQLAlchemyError as error:
        raise StoreError(f"store: cannot be read ({str(error).splitlines()[0]})") from error
    return counts


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
