"""Fixtures of tests that start real processes."""

from __future__ import annotations

import pytest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in an empty folder with its own stores."""
    for name in ("DVTA_DATA", "DVTA_RUNS", "DVTA_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path
