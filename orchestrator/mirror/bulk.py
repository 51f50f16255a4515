"""Whole runs written to MLflow's own database, many in one transaction.

A client makes a run in four calls, each with look-ups and a commit of its own. Where the tracking URI is a
database, a run that has ended already is written as rows of MLflow's tables instead, as
MLflow's store would leave them (a test compares the two).
"""

from __future__ import annotations

import contextlib
import math
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from dvta.errors import DvtaError
from orchestrator.mirror.runs import CONTEXT, SOURCE_TYPE, WholeRun
from orchestrator.store.selecting import chunks

LARGEST = 1.7976931348623157e308  # what MLflow stores for an infinite metric
DRIVERS = ("sqlite", "postgresql")


class ExperimentGoneError(DvtaError):
    """The experiment of a run is not active."""


def open_bulk(uri: str) -> Bulk | None:
    """Return what writes to the database of a tracking URI, None where it is none that is known.

    MLflow's client has opened the database before: its tables are those of the installed MLflow.
    """
    with contextlib.suppress(sa.exc.ArgumentError):
        if sa.make_url(uri).get_backend_name() in DRIVERS:
            return Bulk(sa.create_engine(uri))
    return None


class Bulk:
    """Writes whole runs to the tables of MLflow."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def write(self, runs: Sequence[WholeRun]) -> None:
        """Write runs in one transaction; those that are there already stay as they are.

        Raises:
            ExperimentGoneError: an experiment was deleted.
            sqlalchemy.exc.SQLAlchemyError: the database cannot be written, or another wrote one of them now.
        """
        with self._engine.begin() as connection:
            _check_active(connection, {int(run.experiment) for run in runs})
            table = _tables()
            there: set[str] = set()
            for some in chunks([run.id for run in runs]):
                there |= set(
                    connection.scalars(
                        sa.select(table.runs.c.run_uuid).where(table.runs.c.run_uuid.in_(some))
                    )
                )
            new = [run for run in runs if run.id not in there]
            if not new:
                return
            places = _artifact_places(connection, new)
            _insert(connection, table.runs, (_run_row(run, places[run.experiment]) for run in new))
            for into, field in ((table.tags, "tags"), (table.params, "params")):
                pairs = ((run.id, getattr(run, field)) for run in new)
                _insert(
                    connection,
                    into,
                    ({"run_uuid": i, "key": k, "value": v} for i, found in pairs for k, v in found.items()),
                )
            points = [_points(run) for run in new]
            _insert(connection, table.metrics, (row for rows in points for row in rows))
            _insert(connection, table.latest_metrics, (row for rows in points for row in _latest(rows)))
            _insert_data(connection, new)

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()


def _tables() -> Any:
    """Return MLflow's tables by their names."""
    from types import SimpleNamespace

    from mlflow.store.tracking.dbmodels import models

    found = models.Base.metadata.tables
    names = (
        "experiments",
        "runs",
        "tags",
        "params",
        "metrics",
        "latest_metrics",
        "datasets",
        "inputs",
        "input_tags",
    )
    return SimpleNamespace(**{name: found[name] for name in names})


def _insert(connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    if all_rows := list(rows):
        connection.execute(sa.insert(table), all_rows)


def _check_active(connection: sa.Connection, experiments: Collection[int]) -> None:
    table = _tables().experiments
    query = sa.select(table.c.experiment_id).where(
        table.c.experiment_id.in_(experiments), table.c.lifecycle_stage == "active"
    )
    if gone := set(experiments) - set(connection.scalars(query)):
        raise ExperimentGoneError(f"experiments {sorted(gone)} are not active")


def _artifact_places(connection: sa.Connection, runs: Sequence[WholeRun]) -> dict[str, str]:
    """Return where the artifacts of an experiment's runs go."""
    table = _tables().experiments
    wanted = {int(run.experiment) for run in runs}
    query = sa.select(table.c.experiment_id, table.c.artifact_location).where(
        table.c.experiment_id.in_(wanted)
    )
    return {str(experiment): str(place) for experiment, place in connection.execute(query)}


def _run_row(run: WholeRun, place: str) -> dict[str, Any]:
    from mlflow.utils.uri import append_to_uri_path

    return {
        "run_uuid": run.id, "experiment_id": int(run.experiment), "name": run.name, "user_id": "unknown",
        "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "source_version": "",
        "status": run.status, "start_time": run.start, "end_time": run.end, "deleted_time": None,
        "lifecycle_stage": "active", "artifact_uri": append_to_uri_path(place, run.id, "artifacts"),
    }  # fmt: skip


def _points(run: WholeRun) -> list[dict[str, Any]]:
    """Return the rows of a run's metrics, each once."""
    rows = {}
    for point in run.metrics:
        value = 0.0 if math.isnan(point.value) else max(-LARGEST, min(LARGEST, point.value))
        row = {
            "run_uuid": run.id, "key": point.name, "value": value, "timestamp": point.time, "step": point.step,
            "is_nan": math.isnan(point.value),
        }  # fmt: skip
        rows[tuple(row.values())] = row
    return list(rows.values())


def _latest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the row of the last step of every metric."""
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["step"], row["timestamp"], row["value"])):
        newest[row["key"]] = row
    return list(newest.values())


def _insert_data(connection: sa.Connection, runs: Sequence[WholeRun]) -> None:
    """Write what the runs read, a data set once in an experiment."""
    table = _tables()
    datasets = table.datasets
    query = sa.select(
        datasets.c.experiment_id, datasets.c.name, datasets.c.digest, datasets.c.dataset_uuid
    ).where(datasets.c.experiment_id.in_({int(run.experiment) for run in runs}))
    known = {(str(e), name, digest): found for e, name, digest, found in connection.execute(query)}
    made = []
    inputs = []
    for run in runs:
        key = (run.experiment, run.data.name, run.data.digest)
        if key not in known:
            known[key] = uuid.uuid4().hex
            made.append(
                {"dataset_uuid": known[key], "experiment_id": int(run.experiment), "name": run.data.name,
                 "digest": run.data.digest, "dataset_source_type": SOURCE_TYPE, "dataset_source": run.data.source}
            )  # fmt: skip
        inputs.append(
            {"input_uuid": uuid.uuid4().hex, "source_type": "DATASET", "source_id": known[key],
             "destination_type": "RUN", "destination_id": run.id}
        )  # fmt: skip
    _insert(connection, datasets, made)
    _insert(connection, table.inputs, inputs)
    context = dict(zip(("name", "value"), CONTEXT, strict=True))
    _insert(connection, table.input_tags, ({"input_uuid": row["input_uuid"], **context} for row in inputs))
