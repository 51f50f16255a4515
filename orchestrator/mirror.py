"""The store, copied to MLflow: may lag, may be down, is never read back.

A parent run per study, a child run per attempt. How far MLflow has an attempt is noted in the
store; metrics carry the store's time stamps, so that repeating a copy changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from typing import Any

from dvta.errors import DvtaError
from orchestrator.store import Store
from orchestrator.store.reading import COLUMNS
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State, text

log = logging.getLogger(__name__)
BATCH = 1000  # MLflow's limit of metrics in one call


class MirrorError(DvtaError):
    """MLflow cannot be reached; nothing is lost, the store has it."""


class Mirror:
    """Copies what is new in the store to an MLflow tracking URI."""

    def __init__(self, store: Store, uri: str) -> None:
        self._store, self._uri = store, uri
        self._client: Any = None
        self._experiments: dict[str, tuple[str, str]] = {}

    def flush(self) -> int:
        """Copy everything new; return the number of attempts touched.

        Raises:
            MirrorError: MLflow does not answer.
        """
        try:
            client = self._connected()
            touched = 0
            for attempt, trial, study in self._store.unmirrored():
                touched += self._copy(client, attempt, trial, study)
            return touched
        except DvtaError:
            raise
        except Exception as error:
            self._client = None
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise MirrorError(f"MLflow at {self._uri} cannot be written: {first}") from error

    def _connected(self) -> Any:
        if self._client is None:
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self._uri)
        return self._client

    def _copy(self, client: Any, attempt: AttemptRow, trial: TrialRow, study: str) -> bool:
        epochs = self._store.epochs(attempt.id, after=attempt.mirrored_epoch)
        state = State(attempt.state)
        if not epochs and attempt.mirrored_state == state:
            return False
        from mlflow.entities import Metric, RunTag

        new = attempt.mlflow_run_id is None
        run_id = attempt.mlflow_run_id or self._run(client, attempt, trial, study)
        if new:
            self._store.note_mirrored(attempt.id, run_id, 0, None)
        metrics = [
            Metric(name, value, int(row.time * 1000), row.epoch)
            for row in epochs
            for name, value in row.metrics.items()
        ]
        last = epochs[-1].epoch if epochs else attempt.mirrored_epoch
        if state is State.DONE:
            when = int((attempt.finished or 0) * 1000)
            metrics += [Metric(k, float(v), when, last) for k, v in attempt.results.items()]
        for start in range(0, len(metrics), BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + BATCH])
        if state.is_finished:
            tags = {**attempt.worker, "state": state.value, "error": attempt.error or ""}
            client.log_batch(
                run_id, tags=[RunTag(f"dvta.{k}", str(v)[:5000]) for k, v in tags.items() if v != ""]
            )
            status = "FINISHED" if state is not State.FAILED else "FAILED"
            client.set_terminated(run_id, status=status, end_time=int((attempt.finished or 0) * 1000))
        self._store.note_mirrored(attempt.id, run_id, last, state.value)
        return True

    def _run(self, client: Any, attempt: AttemptRow, trial: TrialRow, study: str) -> str:
        """Return the run of an attempt: the one a killed mirror left behind, or a new one."""
        from mlflow.entities import Param

        experiment, parent = self._study(client, study)
        left = client.search_runs([experiment], f"tags.`dvta.attempt` = '{attempt.id}'", max_results=1)
        if left:
            return str(left[0].info.run_id)
        flat: dict[str, Any] = {c: getattr(trial, c) for c in COLUMNS}
        flat |= trial.options | trial.training | trial.stand_in
        tags = {
            "mlflow.parentRunId": parent,
            "mlflow.source.git.commit": attempt.provenance.get("git_commit", ""),
            "dvta.attempt": str(attempt.id),
            "dvta.trial": trial.key,
            "dvta.data_digest": trial.data_digest,
            "dvta.source": trial.source,
            "dvta.protocol": "final: last epoch; best: best epoch on the unseen test classes",
            **{f"dvta.{k}": str(v) for k, v in attempt.provenance.items() if k != "git_commit"},
        }
        name = f"{trial.method} {trial.dataset} {trial.split} seed {trial.seed}"
        run = client.create_run(
            experiment,
            start_time=int(attempt.started * 1000),
            tags=tags,
            run_name=f"{name} (simulated)" if trial.source == "simulated" else name,
        )
        params = [Param(k, text(v)) for k, v in flat.items() if v is not None]
        client.log_batch(run.info.run_id, params=params[:100])
        return str(run.info.run_id)

    def _study(self, client: Any, study: str) -> tuple[str, str]:
        """Return the experiment of a study and its parent run, made where missing."""
        if study not in self._experiments:
            found = client.get_experiment_by_name(study)
            experiment = found.experiment_id if found else client.create_experiment(study)
            parents = client.search_runs([experiment], f"tags.`dvta.study` = '{study}'", max_results=1)
            if parents:
                parent = parents[0].info.run_id
            else:
                parent = client.create_run(experiment, tags={"dvta.study": study}, run_name=study).info.run_id
                client.set_terminated(parent)
            self._experiments[study] = (experiment, parent)
        return self._experiments[study]


class MirrorThread:
    """Mirrors in the background while a sweep runs, and to the end when it is closed."""

    SECONDS = 3.0

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._down = False

    def __enter__(self) -> MirrorThread:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(DvtaError):
            self._mirror.flush()

    def _work(self) -> None:
        while True:
            try:
                self._mirror.flush()
                self._down = False
            except DvtaError as error:
                if not self._down:
                    log.warning("%s; the sweep goes on, dvta-orch mirror catches up", error)
                self._down = True
            if self._ended.wait(self.SECONDS):
                return
