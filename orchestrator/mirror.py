"""The store, copied to MLflow: may lag, may be down, is never read back.

A parent run per study, a child run per attempt. How far which MLflow has an attempt is noted in the
store; metrics carry the store's time stamps, so that repeating a copy changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from typing import Any

from dvta.errors import DvtaError
from orchestrator import mlflow_files
from orchestrator.mlflow_files import MirrorError
from orchestrator.store import EpochRow, Store
from orchestrator.store.queries import COLUMNS
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State, flat_config, format_value

log = logging.getLogger(__name__)
BATCH = 1000  # MLflow's limit of metrics in one call


class Mirror:
    """Copies what is new in the store to an MLflow tracking URI."""

    def __init__(self, store: Store, uri: str) -> None:
        self._store, self._uri = store, uri
        self._place = without_login(uri)
        self._client: Any = None
        self._experiments: dict[str, tuple[str, str]] = {}

    def flush(self, *, everything: bool = False) -> int:
        """Copy what is new; return the number of attempts touched.

        With ``everything`` also what another MLflow has; without it that is left there, so that
        sweeps with different tracking URIs do not copy each other's.

        Raises:
            MirrorError: MLflow does not answer.
        """
        touched, failed = 0, dict[str, Exception]()
        try:
            client = self._connected()
            news = self._store.unmirrored(self._place, everything=everything)
        except DvtaError:
            raise
        except Exception as error:
            raise self._error("", error) from error
        for attempt, trial, study in news:
            if study not in failed:
                try:
                    touched += self._copy_patiently(client, attempt, trial, study)
                except DvtaError:
                    raise
                except Exception as error:
                    failed[study] = error  # the other studies go on
        for study, error in failed.items():
            raise self._error(f"study {study}: ", error) from error
        return touched

    def _error(self, what: str, error: Exception) -> MirrorError:
        self._client = None
        self._experiments.clear()
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return MirrorError(f"MLflow at {self._place} cannot be written: {what}{first}")

    def _copy_patiently(self, client: Any, attempt: AttemptRow, trial: TrialRow, study: str) -> bool:
        """Copy an attempt; once more after what somebody deleted meanwhile is restored."""
        try:
            return self._copy(client, attempt, trial, study)
        except Exception:
            self._experiments.pop(study, None)
            if not self._restore(client, attempt, study):
                raise
            return self._copy(client, attempt, trial, study)

    def _restore(self, client: Any, attempt: AttemptRow, study: str) -> bool:
        """Restore what was deleted of an attempt in MLflow; return whether anything was."""
        found = client.get_experiment_by_name(study)
        if found is not None and found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            log.warning(
                "MLflow: the experiment %r was deleted there and is restored: its study goes on", study
            )
            return True
        run_id = attempt.mlflow_run_id if attempt.mlflow_uri == self._place else None
        if run_id and client.get_run(run_id).info.lifecycle_stage == "deleted":
            client.restore_run(run_id)
            log.warning("MLflow: the run %s was deleted there and is restored: its attempt goes on", run_id)
            return True
        return False

    def left_elsewhere(self) -> int:
        """Return how many attempts another MLflow has, and this one not."""
        return self._store.mirrored_elsewhere(self._place)

    def _connected(self) -> Any:
        if self._client is None:
            self._client = mlflow_files.connect(self._uri)
        return self._client

    def _copy(self, client: Any, attempt: AttemptRow, trial: TrialRow, study: str) -> bool:
        here = attempt.mlflow_uri == self._place
        epoch, mirrored = (attempt.mirrored_epoch, attempt.mirrored_state) if here else (0, None)
        epochs = self._store.epochs(attempt.id, after=epoch)
        state = State(attempt.state)
        if not epochs and mirrored == state:
            return False
        run_id, complete = attempt.mlflow_run_id, False
        if run_id is None or not here:
            run_id, complete = self._run(client, attempt, trial, study)
        last = epochs[-1].epoch if epochs else epoch
        if not (complete and state.is_finished):
            self._send(client, run_id, attempt, epochs, last)
        self._store.note_mirrored(attempt.id, self._place, last, state.value)
        return True

    @staticmethod
    def _send(client: Any, run_id: str, attempt: AttemptRow, epochs: list[EpochRow], last: int) -> None:
        """Log epochs and, once there is one, the end of an attempt; a terminated run is complete."""
        from mlflow.entities import Metric, RunTag

        state = State(attempt.state)
        metrics = [
            Metric(name, value, int(row.time * 1000), row.epoch)
            for row in epochs
            for name, value in row.metrics.items()
        ]
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

    def _run(self, client: Any, attempt: AttemptRow, trial: TrialRow, study: str) -> tuple[str, bool]:
        """Return the run of an attempt, noted, and whether it is complete.

        It is the one that an earlier mirror left behind, or a new one; where two mirrors make one at
        once, the one noted first stays.
        """
        experiment, parent = self._study(client, study)
        mine = f"tags.`dvta.attempt` = '{attempt.id}' AND tags.`dvta.trial` = '{trial.key}'"
        left = client.search_runs([experiment], mine, max_results=1)
        run_id = left[0].info.run_id if left else self._make(client, attempt, trial, experiment, parent)
        noted = self._store.note_run(attempt.id, self._place, run_id)
        if noted != run_id and not left:
            client.delete_run(run_id)
        return noted, bool(left) and noted == run_id and left[0].info.status in ("FINISHED", "FAILED")

    @staticmethod
    def _make(client: Any, attempt: AttemptRow, trial: TrialRow, experiment: str, parent: str) -> str:
        from mlflow.entities import Param

        identity = {c: getattr(trial, c) for c in COLUMNS}
        flat = flat_config(identity, trial.options, trial.training, trial.stand_in)
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
        params = [Param(k, format_value(v)) for k, v in flat.items() if v is not None]
        client.log_batch(run.info.run_id, params=params[:100])
        return str(run.info.run_id)

    def _study(self, client: Any, study: str) -> tuple[str, str]:
        """Return the experiment of a study and its parent run, made where missing."""
        if study not in self._experiments:
            found = client.get_experiment_by_name(study)
            experiment = found.experiment_id if found else client.create_experiment(study)
            parent = self._oldest(client, experiment, study)
            if parent is None:
                made = client.create_run(experiment, tags={"dvta.study": study}, run_name=study).info.run_id
                client.set_terminated(made)
                # another mirror may have made one at the same moment
                parent = self._oldest(client, experiment, study)
                if parent != made:
                    client.delete_run(made)
            self._experiments[study] = (experiment, str(parent))
        return self._experiments[study]

    @staticmethod
    def _oldest(client: Any, experiment: str, study: str) -> str | None:
        runs = client.search_runs([experiment], f"tags.`dvta.study` = '{study}'")
        return min(((r.info.start_time, r.info.run_id) for r in runs), default=(0, None))[1]


def without_login(uri: str) -> str:
    """Return a tracking URI without the user and the password it may have."""
    return re.sub(r"//[^/@]*@", "//", uri).rstrip("/")


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
