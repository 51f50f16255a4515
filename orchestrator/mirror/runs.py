"""What the run of an attempt holds in MLflow, and how it is written."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Sequence
from typing import Any

from orchestrator.mirror.studies import Experiment
from orchestrator.store import EpochRow
from orchestrator.store.rows import COLUMNS
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State, flat_config, format_value

BATCH = 800  # metrics in one call; MLflow's limit is 1000 together with parameters and tags
PARAMETERS = 100  # MLflow's limit of parameters in one call
DIGEST = 36  # MLflow's limit of a dataset's digest
TAG = 5000  # characters
SOURCE_TYPE = "dvta-orch"
CONTEXT = ("mlflow.data.context", "training")
MODEL = "model"  # the folder of a run's weights
PROTOCOL = "final: last epoch; best: best epoch on the unseen test classes"

Place = tuple[str, str, str, str]  # study, table, row, column


@dataclasses.dataclass(frozen=True)
class Point:
    """A value of a metric; ``time`` in milliseconds."""

    name: str
    value: float
    time: int
    step: int


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run reads; MLflow tells two apart by name and digest."""

    name: str
    digest: str
    source: str


@dataclasses.dataclass(frozen=True)
class WholeRun:
    """The run of an attempt that has ended; times in milliseconds."""

    id: str
    experiment: str
    name: str
    start: int
    end: int
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: Sequence[Point]
    data: Data


def whole(
    experiment: Experiment,
    attempt: AttemptRow,
    trial: TrialRow,
    name: str,
    places: Sequence[Place],
    epochs: Sequence[EpochRow],
) -> WholeRun:
    """Return the run of an attempt that has ended; whoever writes it writes the same id."""
    id_ = uuid.uuid5(uuid.NAMESPACE_OID, f"{trial.key}/{attempt.id}/{attempt.started!r}").hex
    last = epochs[-1].epoch if epochs else 0
    tags = first_tags(experiment, attempt, trial, places) | last_tags(attempt)
    return WholeRun(
        id_, experiment.id, name, int(attempt.started * 1000), _end(attempt), _status(attempt),
        tags | {"mlflow.runName": name}, parameters(trial), points(attempt, epochs, last), data_of(trial),
    )  # fmt: skip


def make(
    client: Any,
    experiment: Experiment,
    attempt: AttemptRow,
    trial: TrialRow,
    name: str,
    places: Sequence[Place],
) -> str:
    """Make the run of an attempt; return its id."""
    run = client.create_run(
        experiment.id,
        start_time=int(attempt.started * 1000),
        tags=first_tags(experiment, attempt, trial, places),
        run_name=name,
    )
    return str(run.info.run_id)


def log_dataset(client: Any, run_id: str, trial: TrialRow) -> None:
    """Log what a trial reads as the run's input; a second time changes nothing."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = data_of(trial)
    dataset = Dataset(name=data.name, digest=data.digest, source_type=SOURCE_TYPE, source=data.source)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag(*CONTEXT)])])


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

    finished = State(attempt.state).is_finished
    metrics = [Metric(p.name, p.value, p.time, p.step) for p in points(attempt, epochs, last)]
    tags = [RunTag(k, v) for k, v in last_tags(attempt).items() if finished]
    params = [Param(k, v) for k, v in (parameters(trial) if trial else {}).items()]
    for start in range(0, max(len(metrics), 1), BATCH):
        client.log_batch(run_id, metrics[start : start + BATCH], params, tags)
        params, tags = [], []
    if finished:
        client.set_terminated(run_id, status=_status(attempt), end_time=_end(attempt))


def points(attempt: AttemptRow, epochs: Sequence[EpochRow], last: int) -> list[Point]:
    """Return the metrics of epochs, and the results of an attempt that is done at the epoch ``last``."""
    found = [
        Point(name, value, int(row.time * 1000), row.epoch)
        for row in epochs
        for name, value in row.metrics.items()
    ]
    if State(attempt.state) is State.DONE:
        found += [Point(k, float(v), _end(attempt), last) for k, v in attempt.results.items()]
    return found


def data_of(trial: TrialRow) -> Data:
    """Return what a trial reads."""
    source = {n: getattr(trial, n) for n in ("dataset", "split", "visual", "text", "source")}
    return Data(
        f"{trial.dataset} {trial.split}",
        trial.data_digest[:DIGEST],
        json.dumps({**source, "digest": trial.data_digest}),
    )


def first_tags(
    experiment: Experiment, attempt: AttemptRow, trial: TrialRow, places: Sequence[Place]
) -> dict[str, str]:
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
    return {name: value[:TAG] for name, value in tags.items()} | {"mlflow.parentRunId": experiment.parent}


def last_tags(attempt: AttemptRow) -> dict[str, str]:
    """Return how an attempt ended, and on what."""
    end = {**attempt.worker, "state": State(attempt.state).value, "error": attempt.error or ""}
    return {f"dvta.{k}": str(v)[:TAG] for k, v in end.items() if v != ""}


def parameters(trial: TrialRow) -> dict[str, str]:
    """Return everything that a trial is made of, as far as MLflow takes so much."""
    identity = {c: getattr(trial, c) for c in COLUMNS}
    flat = flat_config(identity, trial.options, trial.training, trial.stand_in)
    found = [(name, format_value(value)) for name, value in flat.items() if value is not None]
    return dict(found[:PARAMETERS])


def _status(attempt: AttemptRow) -> str:
    return "FAILED" if State(attempt.state) is State.FAILED else "FINISHED"


def _end(attempt: AttemptRow) -> int:
    return int((attempt.finished or 0) * 1000)
