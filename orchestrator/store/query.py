"""Reading the store with one's own SQL: read only, through views that stay the same across schema versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import StoreError
from orchestrator.store.store import Store

#: name -> SELECT; a trial's result is that of its newest done attempt, else of its newest one
VIEWS = {
    "results": """
        SELECT t.key, t.kind, t.method, t.dataset, t.split, t.visual, t.text, t.seed, t.source, t.evaluate_on,
               t.options, t.training, t.data_digest, COALESCE(a.state, 'not run') AS state,
               a.number AS attempt, a.final_accuracy AS final, a.best_accuracy AS best, a.best_epoch,
               a.results AS measured, a.seconds, a.started, a.finished, a.error_kind, a.error, a.traceback,
               a.provenance, a.worker, a.mlflow_run_id
        FROM trial t LEFT JOIN attempt a ON a.id = COALESCE(
            (SELECT d.id FROM attempt d WHERE d.trial_id = t.id AND d.state = 'done'
             ORDER BY d.started DESC, d.id DESC LIMIT 1),
            (SELECT n.id FROM attempt n WHERE n.trial_id = t.id ORDER BY n.started DESC, n.id DESC LIMIT 1))""",
    "epochs": """
        SELECT t.key, a.number AS attempt, a.state, m.epoch, m.metric, m.value, m.time
        FROM epoch_metric m JOIN attempt a ON a.id = m.attempt_id JOIN trial t ON t.id = a.trial_id""",
    "cells": """
        SELECT s.name AS study, c.table_name AS "table", c.row AS "row", c.col AS "column", t.key, c.missing
        FROM cell c JOIN study s ON s.id = c.study_id LEFT JOIN trial t ON t.id = c.trial_id""",
}
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def query(store: Store, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Run one SELECT; return the names of its columns, and its rows.

    Raises:
        StoreError: it is no SELECT, or the database refuses it.
    """
    with _refusals(sql):
        connection = store.engine.connect()
        try:
            cursor = _executed(connection, sql)
        except BaseException:
            _drop(connection)
            raise
        columns = [column[0] for column in cursor.description]
    return columns, _rows(connection, cursor, sql)


def _executed(connection: sa.Connection, sql: str) -> Any:
    """Return the cursor of one SELECT, which sees the views and may only read."""
    driver: Any = connection.connection.dbapi_connection
    for name, select in VIEWS.items():
        connection.exec_driver_sql(f"CREATE TEMPORARY VIEW {name} AS {select}")
    if isinstance(driver, sqlite3.Connection):
        driver.set_authorizer(_authorize)
        cursor: Any = driver.execute(sql)
    else:
        connection.commit()
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        # a prepared statement is a single one
        cursor = driver.cursor().execute(sql, prepare=True)
    if cursor.description is None:
        raise StoreError(f"query {sql[:60]!r}: returns no rows; allowed: one SELECT")
    return cursor


def _drop(connection: sa.Connection) -> None:
    """End a connection, with its views and its authorizer; it is not used again."""
    connection.invalidate()
    connection.close()


def _rows(connection: sa.Connection, cursor: Any, sql: str) -> Iterator[tuple[Any, ...]]:
    try:
        with _refusals(sql):
            yield from cursor
    finally:
        _drop(connection)


@contextmanager
def _refusals(sql: str) -> Iterator[None]:
    """Turn what a database says against a statement into one message."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, SQLAlchemyError) as error:
        raise StoreError(_message(sql, error)) from error
    except StoreError:
        raise
    except Exception as error:  # psycopg's errors, which may not be installed
        if type(error).__module__.partition(".")[0] != "psycopg":
            raise
        raise StoreError(_message(sql, error)) from error


def _message(sql: str, error: Exception) -> str:
    reason = (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
    views = ", ".join(VIEWS)
    return f"query {sql[:60]!r}: {reason}; allowed: one SELECT on {views} or the store's own tables"


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
