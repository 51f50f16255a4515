"""Optuna's database, and the one thing that needs Optuna's private interface."""

from __future__ import annotations

from typing import Any

import optuna
import sqlalchemy as sa

from orchestrator.settings import OPTUNA_SCHEMA


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Open Optuna's database, creating its tables (in their own schema on PostgreSQL)."""
    engine: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        engine = {"connect_args": {"timeout": 60}}
    else:
        with sa.create_engine(url).begin() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {OPTUNA_SCHEMA}"))
    return optuna.storages.RDBStorage(url, engine_kwargs=engine)


def live_trial(study: optuna.Study, number: int) -> optuna.Trial:
    """Return a writable handle of a running trial that some process, perhaps a dead one, has asked for.

    Optuna hands such a handle out at ``ask`` only; a sweep that goes on after a crash needs it again.
    """
    frozen = study.get_trials(deepcopy=False)[number]
    return optuna.Trial(study, frozen._trial_id)
