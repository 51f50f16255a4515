"""MLflow's SQLite file: made whole, and made anew where it was left half-made."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from dvta.errors import DvtaError
from orchestrator.settings import sqlite_path, sqlite_url
from orchestrator.sqlite_files import count_rows, first_value, make_whole, set_aside

log = logging.getLogger(__name__)


class MirrorError(DvtaError):
    """MLflow cannot be reached; nothing is lost, the store has it."""


def without_login(uri: str) -> str:
    """Return a tracking URI without the user and the password it may have."""
    return re.sub(r"//[^/@]*@", "//", uri).rstrip("/")


def connect(uri: str) -> Any:
    """Return a client of a tracking URI; an SQLite file is made, or made anew, where it has to be.

    Raises:
        MirrorError: the file is broken and holds runs.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    # what goes wrong is said once, by us, without MLflow's tracebacks
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    path = sqlite_path(uri)
    if path is None:
        return MlflowClient(tracking_uri=uri)
    make_ready(path)
    try:
        return _opened(uri)
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        runs = count_rows(path, "runs")
        if runs == 0:
            raise MirrorError(
                f"MLflow's {path} was left half-made ({first}); it is now {set_aside(path)}, and the next "
                "command makes it anew"
            ) from error
        held = "cannot be read" if runs is None else f"is broken or older, and holds {runs} runs"
        raise MirrorError(
            f"MLflow's {path} {held}: {first}; bring it up to date with: mlflow db upgrade '{uri}', "
            "or move it away and make it again with: dvta-orch mirror"
        ) from error


def make_ready(path: Path) -> None:
    """Make MLflow's file where there is none, and anew where one without runs was left half-made."""
    if path.exists() and count_rows(path, "runs") == 0 and not _is_whole(path):
        log.warning(
            "MLflow's %s was left half-made; it is made anew, the old file is %s", path, set_aside(path)
        )
    if not path.exists():
        make_whole(path, _make)


def _is_whole(path: Path) -> bool:
    """Return whether the last of MLflow's migrations has ended; MLflow itself keeps what it once opened."""
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = Path(mlflow.__file__).parent / "store" / "db_migrations"
    left = first_value(
        path, "SELECT count(*) FROM sqlite_master WHERE name LIKE '#_alembic#_tmp#_%' ESCAPE '#'"
    )
    found = first_value(path, "SELECT version_num FROM alembic_version")
    return left == 0 and bool(found == ScriptDirectory(str(scripts)).get_current_head())


def _opened(uri: str) -> Any:
    from mlflow import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
        return client
    finally:
        _remove_stray_folder(uri)


def _make(path: Path) -> None:
    _opened(sqlite_url(path))


def _remove_stray_folder(uri: str) -> None:
    """Remove the folder that MLflow makes under the quoted name of the one that is meant."""
    path, quoted = sqlite_path(uri), Path(uri.removeprefix("sqlite:///"))
    if path is not None and path.parent != quoted.parent:
        with contextlib.suppress(OSError):
            quoted.parent.rmdir()
