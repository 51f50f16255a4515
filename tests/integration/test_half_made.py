"""Databases whose making is killed: the next run makes them whole, and what holds runs is never thrown away."""

from __future__ import annotations

import functools
import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.errors import StoreError
from orchestrator.mirror import files as mlflow_files
from orchestrator.mirror.files import MirrorError
from orchestrator.search.optuna_storage import open_storage
from orchestrator.settings import sqlite_url
from orchestrator.sqlite_files import make_whole
from orchestrator.store import Store
from tests.processes import apart

KILLS = 20


def make_mlflow(path: Path) -> None:
    mlflow_files.connect(sqlite_url(path))


def make_optuna(path: Path) -> None:
    open_storage(sqlite_url(path))


def make_store(path: Path) -> None:
    Store.open(sqlite_url(path))


def in_place(make, path: Path) -> None:
    """Call ``make`` as it was before: the file has its own name from the first statement on."""
    import orchestrator.search.optuna_storage as searches

    for module in (mlflow_files, searches):
        module.make_whole = lambda path, make: make(path)
    make(path)


def make_until(number: int | None, make, path: Path) -> int:
    """Make a file, and die before the ``number``-th statement; return how many there were."""
    count = 0

    def on_statement(*arguments: object) -> None:
        nonlocal count
        if number is not None and count >= number:
            os._exit(9)
        count += 1

    # a process that is killed loses nothing of what it has handed to the system
    sa.event.listen(sa.Engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF") and None)
    sa.event.listen(sa.Engine, "before_cursor_execute", on_statement)
    make(path)
    return count


def killed_at(number: int | None, make, path: Path) -> int:
    """Make a file in a process of its own that dies before its ``number``-th statement; return how many it ran."""
    status, statements = apart(make_until, number, make, path)
    assert status == (0 if number is None else 9)
    return statements or 0


@pytest.mark.parametrize(
    ("make", "table", "fewest"),
    [
        pytest.param(make_mlflow, "experiments", 100, id="mlflow"),
        pytest.param(make_optuna, "studies", 20, id="optuna"),
        pytest.param(make_store, "trial", 10, id="store"),
    ],
)
def test_twenty_kills_while_a_database_is_made_leave_none_or_a_whole_one(tmp_path, make, table, fewest):
    statements = killed_at(None, make, tmp_path / "whole/x.db")
    assert statements >= fewest
    path = tmp_path / "x.db"
    moments = [round(i * (statements - 1) / (KILLS - 1)) for i in range(KILLS)]
    for moment in moments:
        killed_at(moment, make, path)
        if path.exists():  # killed when it was made
            assert moment > statements // 2
            make(path)
            path.unlink()
    make(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 0
    assert len(list(tmp_path.glob(".x.db.*.partial"))) <= KILLS


@pytest.mark.parametrize(("make", "moments"), [(make_mlflow, (300, 900)), (make_optuna, (3, 10, 17))])
def test_one_that_an_earlier_version_left_half_made_is_made_anew(tmp_path, make, moments, caplog):
    for i, moment in enumerate(moments):
        path = tmp_path / f"{i}.db"
        killed_at(moment, functools.partial(in_place, make), path)
        assert path.exists()
        make(path)
        make(path)
        if path.with_name(f"{i}.db.broken-1").exists():
            assert "half-made" in caplog.text
    assert len(list(tmp_path.glob("*.broken-1"))) >= 1


def test_a_broken_one_that_holds_runs_is_kept_and_the_remedy_said(tmp_path):
    path = tmp_path / "mlflow.db"
    client = mlflow_files.connect(sqlite_url(path))
    client.create_run(client.create_experiment("e"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
    before = path.read_bytes()
    with pytest.raises(MirrorError, match=r"holds 1 runs: .*mlflow db upgrade 'sqlite:.*dvta-orch mirror"):
        killed_mlflow_cache(path)
    assert path.read_bytes() == before


def killed_mlflow_cache(path: Path) -> None:
    """Connect under another name of the same file: MLflow keeps what it has opened."""
    other = path.with_name("again")
    other.symlink_to(path.parent)
    mlflow_files.connect(sqlite_url(other / path.name))


def test_a_broken_file_of_searches_is_kept(tmp_path):
    path = tmp_path / "optuna.db"
    storage = open_storage(sqlite_url(path))
    storage.create_new_study([0], "s")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM alembic_version")
    with pytest.raises(StoreError, match="the file is broken; put a backup in its place"):
        open_storage(sqlite_url(path))


@pytest.mark.parametrize("content", [b"", None])
def test_an_emptied_store_is_not_taken_for_a_new_one(tmp_path, content):
    path = tmp_path / "dvta.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE something (a)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(
            StoreError, match="it was emptied, or is something else; put a backup in its place"
        ):
            Store.open(sqlite_url(path), create=create)
    assert path.read_bytes()[:16] == before[:16]


def test_two_that_make_a_file_at_once_leave_the_first(tmp_path):
    path = tmp_path / "x.db"

    def make(new: Path) -> None:
        sqlite3.connect(new).close()
        new.touch()
        path.write_text("the first")

    make_whole(path, make)
    assert path.read_text() == "the first"
    assert [p.name for p in tmp_path.iterdir()] == ["x.db"]
