"""What produced a result: commit, versions, host. Collected once a process; never fails."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("dvta-orch", "torch", "numpy", "ray", "optuna", "mlflow", "sqlalchemy", "sentence-transformers")


@functools.lru_cache
def collect() -> dict[str, str]:
    """Return ``git_commit`` (with ``+dirty`` where files are changed), host, python and versions."""
    found = {"git_commit": _commit(), "host": platform.node(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    here = Path(__file__).resolve().parent.parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+dirty" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
