"""Driving the program from outside: real processes, their stores and signals."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

SPEC = """
study: e2e
defaults: {dataset: pku, split: smie_7, visual: st_gcn, preset: official, train_per_class: 2, test_per_class: 4,
           batch_size: 32, lr: 0.001, epochs: EPOCHS}
grid: {gamma: [0.01, 0.5], sde: [false, true]}
seeds: 1
checkpoint: {every_seconds: 0}
"""


STARTED: list[subprocess.Popen[str]] = []


def write_spec(epochs: int = 4, extra: str = "") -> Path:
    path = Path("spec.yaml")
    path.write_text(SPEC.replace("EPOCHS", str(epochs)) + extra)
    return path


def start(*arguments: str, before: str = "", **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"{before}\nfrom orchestrator.cli.main import app; app()", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_signals,
        env={**os.environ, **environment},
    )
    STARTED.append(process)
    return process


#: what processes of their own have imported when they begin
IMPORTED = [
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages",
    "orchestrator.mirror.files",
    "orchestrator.search.optuna_storage",
    "orchestrator.spec.load",
    "orchestrator.store",
    "tests.integration.test_half_made",
    "tests.refused_specs",
]


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def apart(function: Callable[..., Any], *arguments: Any) -> tuple[int | None, Any]:
    """Call a function in a process of its own; return its exit code, and what it returned or None if it did not.

    The process is a fork of one that has no threads: a fork of this one could wait for a lock for ever.
    """
    reading, writing = _server().Pipe(duplex=False)
    process = _server().Process(target=_answer, args=(writing, function, arguments))
    process.start()
    writing.close()
    said = None
    with contextlib.suppress(EOFError):
        said = reading.recv()
    process.join()
    return process.exitcode, said


def _answer(writing: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    writing.send(function(*arguments))


def hear_signals() -> None:
    """Undo what a test run under nohup or in a script's background ignores: what it starts would ignore it too."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def kill_what_is_left() -> None:
    """Kill the process groups of what was started and has not been waited for: a test failed before its end."""
    while STARTED:
        process = STARTED.pop()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(*arguments: str, code: int = 0, before: str = "", **environment: str) -> str:
    process = start(*arguments, before=before, **environment)
    out, err = process.communicate(timeout=600)
    assert process.returncode == code, f"{out}\n{err}"
    return out + err


def query(sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{Path('runs/dvta.db').resolve()}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def wait_for(condition, seconds: float = 300.0):
    """Poll until a condition holds; a missing or busy database counts as not yet."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = condition()
        except (sqlite3.Error, OSError):
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("the condition never held")


def assert_every_trial_once(epochs: int, trials: int = 4) -> None:
    assert query("SELECT count(*) FROM trial")[0][0] == trials
    done = query("SELECT trial_id, count(*) FROM attempt WHERE state = 'done' GROUP BY trial_id")
    assert [n for _, n in done] == [1] * trials
    counts = query(
        "SELECT count(*), count(DISTINCT epoch), min(epoch), max(epoch) FROM epoch_metric m "
        "JOIN attempt a ON a.id = m.attempt_id WHERE a.state = 'done' AND metric = 'loss' GROUP BY attempt_id"
    )
    assert counts == [(epochs, epochs, 1, epochs)] * trials
