"""Driving the program from outside: real processes, their stores and signals."""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest import mock

from tests.conftest import ROOT

SPEC = """
study: e2e
defaults: {dataset: pku, split: smie_7, visual: st_gcn, method: devise, train_per_class: 2, test_per_class: 4,
           batch_size: 32, lr: 0.001, epochs: EPOCHS}
grid: {margin: [0.1, 0.5], weight_decay: [0.0, 0.01]}
seeds: 1
checkpoint: {every_seconds: 0}
resources: {stack: off}
"""


def write_spec(epochs: int = 4, extra: str = "", resources: str = "") -> Path:
    path = Path("spec.yaml")
    path.write_text(
        SPEC.replace("EPOCHS", str(epochs)).replace("stack: off", f"stack: off{resources}") + extra
    )
    return path


#: what processes of their own have imported when they begin
IMPORTED = [
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages",
    "orchestrator.cli.main",
    "orchestrator.cli.progress",
    "orchestrator.execute.inline",
    "orchestrator.execute.trained",
    "orchestrator.mirror.files",
    "orchestrator.mirror.mirror",
    "orchestrator.search.optuna_storage",
    "orchestrator.search.study",
    "orchestrator.spec.load",
    "orchestrator.store",
    "orchestrator.sweep",
    "tests.integration.test_half_made",
    "tests.refused_specs",
]


@functools.cache
def _server() -> ForkServerContext:
    """Return what forks processes from one that has imported the program and has no threads.

    A fork of this process could wait for a lock for ever, and one begun anew imports for seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    # Python 3.11 does not hand its sys.path on: the tests are found where the server begins
    with contextlib.chdir(ROOT), mock.patch.dict(os.environ, OMP_NUM_THREADS="1"):
        forkserver.ensure_running()
    return context


def apart(function: Callable[..., Any], *arguments: Any) -> tuple[int | None, Any]:
    """Call a function in a process of its own; return its exit code, and what it returned or None if it did not."""
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


class Program:
    """The program in a process group of its own, with the part of ``subprocess.Popen`` that tests need."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._written = Path(tempfile.mkdtemp(prefix="dvta-written-"))
        self._process = _server().Process(
            target=_program, args=(arguments, environment, os.getcwd(), str(self._written))
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was written to the output and as errors."""
        if self.wait(timeout) is None:
            raise subprocess.TimeoutExpired("dvta-orch", timeout or 0.0)
        try:
            out, err = ((self._written / name).read_text() for name in ("out", "err"))
        finally:
            shutil.rmtree(self._written)
        return out, err


def _program(arguments: tuple[str, ...], environment: dict[str, str], folder: str, written: str) -> None:
    os.setsid()
    hear_signals()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = ["", *(p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p)]
    sys.argv = ["dvta-orch", *arguments]
    for descriptor, name in ((1, "out"), (2, "err")):
        with open(Path(written, name), "w") as file:
            os.dup2(file.fileno(), descriptor)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    from orchestrator.cli.main import app

    try:
        app()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()


STARTED: list[subprocess.Popen[str] | Program] = []


def start(*arguments: str, **environment: str) -> Program:
    """Start the program with what it imports imported."""
    program = Program(arguments, {**os.environ, **environment})
    STARTED.append(program)
    return program


def start_anew(*arguments: str, before: str = "", **environment: str) -> subprocess.Popen[str]:
    """Start the program in an interpreter of its own, after some other code."""
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


def hear_signals() -> None:
    """Undo what a test run under nohup or in a script's background ignores: what it starts would ignore it too."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def kill_what_is_left() -> None:
    """Kill the process groups of what was started and has not been waited for: a test failed before its end."""
    while STARTED:
        process = STARTED.pop()
        if process.returncode is None:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(process.pid, signal.SIGKILL)
            process.wait()


def run(*arguments: str, code: int = 0, **environment: str) -> str:
    return ended(start(*arguments, **environment), code)


def ended(process: subprocess.Popen[str] | Program, code: int = 0) -> str:
    """Wait for a process to end with a code; return all it wrote."""
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
