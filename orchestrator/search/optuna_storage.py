"""Optuna's database, and the one thing that needs Optuna's private interface."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution

from orchestrator.errors import StoreError
from orchestrator.settings import OPTUNA_SCHEMA, sqlite_path, sqlite_url
from orchestrator.sqlite_files import count_rows, make_whole, set_aside

log = logging.getLogger(__name__)


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Open Optuna's database, creating its tables (in their own schema on PostgreSQL).

    An SQLite file is made whole; one that was left half-made, without a study, is made anew.

    Raises:
        StoreError: the file is broken and holds studies.
    """
    path = sqlite_path(url)
    if path is None:
        with sa.create_engine(url).begin() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {OPTUNA_SCHEMA}"))
        return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    if path.exists() and not _is_whole(path):
        studies = count_rows(path, "studies")
        if studies is None or studies:
            raise StoreError(
                f"searches {path}: the file is broken; put a backup in its place, or move it away to "
                "begin the searches again (their trials stay in the store)"
            )
        log.warning("searches %s: left half-made; made anew, the old file is %s", path, set_aside(path))
    if not path.exists():
        make_whole(path, lambda new: optuna.storages.RDBStorage(sqlite_url(new)).engine.dispose())
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})


def _is_whole(path: Path) -> bool:
    """Return whether the last thing that Optuna writes when it makes its tables is there."""
    return bool(count_rows(path, "alembic_version"))


def stored_distributions(url: str, studies: Sequence[str]) -> dict[str, list[dict[str, BaseDistribution]]]:
    """Return the ranges of every trial of those studies that are there already; nothing is written.

    Raises:
        StoreError: the database cannot be read.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return {}
    try:
        engine = sa.create_engine(url)
        schema = None if path is not None else OPTUNA_SCHEMA
        if not sa.inspect(engine).has_table("studies", schema=schema):
            return {}
        storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
        known = {study.study_name for study in optuna.get_all_study_summaries(storage)}
        return {
            name: [
                trial.distributions
                for trial in optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
            ]
            for name in studies
            if name in known
        }
    except (sa.exc.SQLAlchemyError, RuntimeError) as error:
        raise StoreError(
            f"searches {sa.make_url(url).render_as_string()}: cannot be read ({str(error).splitlines()[0]})"
        ) from error


def live_trial(study: optuna.Study, number: int) -> optuna.Trial:
    """Return a writable handle of a running trial that some process, perhaps a dead one, has asked for.

    Optuna hands such a handle out at ``ask`` only; a sweep that goes on after a crash needs it again.
    """
    frozen = study.get_trials(deepcopy=False)[number]
    return optuna.Trial(study, frozen._trial_id)
