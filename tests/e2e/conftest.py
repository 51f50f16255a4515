"""Fixtures of tests that start real processes."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import forget_settings
from tests.processes import kill_what_is_left


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test():
    yield
    kill_what_is_left()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in an empty folder with its own stores."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def browser():
    """Run Debian's chromium, or skip."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()
