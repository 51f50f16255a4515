"""Where things are: flags, then environment, then defaults, made absolute once."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import sqlalchemy as sa

from orchestrator.errors import SettingsError

OPTUNA_SCHEMA = "optuna"
LOG_KIB = 512
MOST_LOG_KIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Settings:
    """Absolute locations.

    Attributes:
        data: the data root (``DVTA_DATA``, ``./data``).
        runs: checkpoints and models, a path or an fsspec URL (``DVTA_RUNS``, ``./runs``).
        store: SQLAlchemy URL of the result store (``DVTA_STORE``, SQLite under ``runs``).
        mlflow: tracking URI (``MLFLOW_TRACKING_URI``, SQLite under ``runs``).
        log_kib: KiB that are kept of what an attempt prints (``DVTA_LOG_KIB``, 512); 0 keeps none.
    """

    data: Path
    runs: str
    store: str
    mlflow: str
    log_kib: int = LOG_KIB

    @classmethod
    def load(cls, **flags: str | None) -> Settings:
        """Resolve the settings; a flag that is None was not given."""

        def pick(flag: str, variable: str, default: str) -> str:
            return flags.get(flag) or os.environ.get(variable) or default

        runs = pick("runs", "DVTA_RUNS", "./runs")
        if "://" not in runs:
            runs = str(Path(runs).expanduser().resolve())
        local = runs if "://" not in runs else str(Path("./runs").resolve())
        return cls(
            data=Path(pick("data", "DVTA_DATA", "./data")).expanduser().resolve(),
            runs=runs,
            store=pick("store", "DVTA_STORE", sqlite_url(Path(local) / "dvta.db")),
            mlflow=_absolute(pick("mlflow", "MLFLOW_TRACKING_URI", sqlite_url(Path(local) / "mlflow.db"))),
            log_kib=_kib(os.environ.get("DVTA_LOG_KIB") or str(LOG_KIB)),
        )

    @property
    def optuna(self) -> str:
        """URL of Optuna's database: beside an SQLite store, in a schema of its own on PostgreSQL."""
        path = sqlite_path(self.store)
        if path is not None:
            return sqlite_url(path.parent / "optuna.db")
        url = sa.make_url(self.store)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        url = url.update_query_dict({"options": f"-csearch_path={OPTUNA_SCHEMA}"})
        return url.render_as_string(hide_password=False)


def log_path(runs: str, key: str, attempt: int) -> str:
    """Return where what an attempt prints is kept, under a folder or URL of runs."""
    return f"{runs}/logs/{key[:2]}/{key}/{attempt}.log"


def _kib(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_LOG_KIB:
        raise SettingsError(f"DVTA_LOG_KIB {text!r}: allowed: a whole number from 0 to {MOST_LOG_KIB}")
    return int(text)


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file, whose name may hold ``%``, ``?`` and ``#``."""
    return sa.URL.create("sqlite", database=str(path)).render_as_string()


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL, None for any other."""
    if not url.startswith("sqlite:///"):
        return None
    return Path(sa.make_url(url).database or "")


def _absolute(uri: str) -> str:
    """Return a tracking URI that means the same in every working directory."""
    path = sqlite_path(uri) or (None if "://" in uri else Path(uri))
    return uri if path is None else sqlite_url(path.resolve())
