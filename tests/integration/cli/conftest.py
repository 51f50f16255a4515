"""A store of a study in all states, as the commands find it, and the commands in this process."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from orchestrator.cli import output
from orchestrator.cli.main import app
from tests.study_store import make_store


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in an empty folder."""
    for name in ("DVTA_DATA", "DVTA_RUNS", "DVTA_STORE", "DVTA_LOG_KIB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(place):
    """Return a store whose study ``made`` has 24 trials: one failed, one not run, the others done."""
    (place / "runs").mkdir()
    return make_store(place / "runs", unfinished=True, failed=True)


@pytest.fixture
def invoke(place):
    """Return a function that runs a command and returns its standard output."""

    def run(*arguments: str, code: int = 0, err: str | None = None) -> str:
        try:
            done = CliRunner().invoke(app, arguments)
        finally:
            output.set_talk(less=False, more=False)
        assert done.exit_code == code, done.output
        assert err is None or err in done.stderr
        return done.stdout

    return run
