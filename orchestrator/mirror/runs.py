"""What the run of an attempt holds in MLflow, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.store import EpochRow
from orchestrator.store.rows import COLUMNS
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State, flat_config, format_value

BATCH = 800  # metrics in one call; MLflow's limit is 1000 together with parameters and tags
PARAMETERS = 100  # MLflow's limit of parameters in one call
DIGEST = 36  # MLflow's limit of a dataset's digest
TAG = 5000  # characters
MODEL = "model"  # the folder of a run's weights
PROTOCOL = "final: last epoch; best: best epoch on the unseen test classes"

Place = tuple[str, str, str, str]  # study, table, row, column


def make(
    client: Any,
    experiment: str,
    parent: str,
    attempt: AttemptRow,
    trial: TrialRow,
    name: str,
    places: Sequence[Place],
) -> str:
    """Make the run of an attempt; return its id."""
    run = client.create_run(
        experiment,
        start_time=int(attempt.started * 1000),
        tags={**_tags(attempt, trial, places), "mlflow.parentRunId": parent},
        run_name=name,
    )
    return str(run.info.run_id)


def log_dataset(client: Any, run_id: str, trial: TrialRow) -> None:
    """Log what a trial reads as the run's input; a second time changes nothing."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {n: getattr(trial, n) for n in ("dataset", "split", "visual", "text", "source")}
    data = Dataset(
        name=f"{trial.dataset} {trial.split}",
        digest=trial.data_digest[:DIGEST],
        source_type="dvta-orch",
        source=json.dumps({**source, "digest": trial.data_digest}),
    )
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def send(
    client: Any,
    run_id: str,
    attempt: AttemptRow,
    epochs: Sequence[EpochRow],
    last: int,
    trial: TrialRow | None,
) -> None:
    """Log epochs, the parameters of ``trial`` if given, and the end once there is one.

    A terminated run is complete.
    """
    from mlflow.entities import Metric, Param, RunTag

    state = State(attempt.state)
    metrics = [
        Metric(name, value, int(row.time * 1000), row.epoch)
        for row in epochs
        for name, value in row.metrics.items()
    ]
    when = int((attempt.finished or 0) * 1000)
    if state is State.DONE:
        metrics += [Metric(k, float(v), when, last) for k, v in attempt.results.items()]
    end = {**attempt.worker, "state": state.value, "error": attempt.error or ""}
    tags = [RunTag(f"dvta.{k}", str(v)[:TAG]) for k, v in end.items() if v != "" and state.is_finished]
    params = [Param(k, v) for k, v in (_parameters(trial) if trial else {}).items()][:PARAMETERS]
    for start in range(0, max(len(metrics), 1), BATCH):
        client.log_batch(run_id, metrics[start : start + BATCH], params, tags)
        params, tags = [], []
    if state.is_finished:
        status = "FINISHED" if state is not State.FAILED else "FAILED"
        client.set_terminated(run_id, status=status, end_time=when)


def _tags(attempt: AttemptRow, trial: TrialRow, places: Sequence[Place]) -> dict[str, str]:
    """Return what leads from a run to its trial, its cells, its commit and its data."""
    tags = {
        "mlflow.source.name": "dvta-orch",
        "mlflow.source.git.commit": attempt.provenance.get("git_commit", ""),
        "dvta.attempt": str(attempt.id),
        "dvta.trial": trial.key,
        "dvta.show": f"dvta-orch show {trial.key[:10]}",
        "dvta.data_digest": trial.data_digest,
        "dvta.source": trial.source,
        "dvta.protocol": PROTOCOL,
        **{f"dvta.{k}": str(v) for k, v in attempt.provenance.items() if k != "git_commit"},
    }
    for study, table, row, column in places[:1]:
        tags |= {"dvta.in_study": study, "dvta.table": table, "dvta.row": row, "dvta.column": column}
    if len(places) > 1:
        cells = (f"{study}: {table}, {row}, {column}" for study, table, row, column in places)
        tags["dvta.cells"] = "\n".join(cells)[:TAG]
    return {name: value[:TAG] for name, value in tags.items()}


def _parameters(trial: TrialRow) -> dict[str, str]:
    """Return everything that a trial is made of."""
    identity = {c: getattr(trial, c) for c in COLUMNS}
    flat = flat_config(identity, trial.options, trial.training, trial.stand_in)
    return {name: format_value(value) for name, value in flat.items() if value is not None}
