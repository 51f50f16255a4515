"""The store, copied to MLflow: may lag, may be down, is never read back.

A parent run per study, a child run per attempt. How far which MLflow has an attempt is noted in the
store; metrics carry the store's time stamps, so that repeating a copy changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from dvta.errors import DvtaError
from orchestrator import mlflow_files
from orchestrator.mlflow_files import MirrorError
from orchestrator.store import EpochRow, Store
from orchestrator.store.rows import COLUMNS
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State, flat_config, format_value

log = logging.getLogger(__name__)
BATCH = 800  # metrics in one call; MLflow's limit is 1000 together with parameters and tags
PARAMETERS = 100  # MLflow's limit of parameters in one call
NOTED_AT_ONCE = 50  # attempts whose progress is noted in one transaction


@dataclasses.dataclass(frozen=True)
class _Experiment:
    """A study in MLflow; ``used`` where it had runs of attempts when this mirror first saw it."""

    id: str
    parent: str
    used: bool


class Mirror:
    """Copies what is new in the store to an MLflow tracking URI.

    What an attempt costs does not grow with their number: three calls (make, log, end) and its share of
    one search for runs that another mirror is making now. Only attempts older than this mirror are
    searched one by one, where their experiment had runs already.
    """

    def __init__(self, store: Store, uri: str) -> None:
        self._store, self._uri = store, uri
        self._place = without_login(uri)
        self._client: Any = None
        self._experiments: dict[str, _Experiment] = {}
        self._newest_before: int | None = None  # attempts up to this id are older than this mirror
        self._open_runs: dict[str, dict[tuple[str, str], Any]] = {}  # of this flush, by experiment
        self._reached: dict[int, tuple[int, str]] = {}  # copied and not noted yet

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
            if self._newest_before is None:
                self._newest_before = self._store.newest_attempt()
            self._open_runs.clear()
        except DvtaError:
            raise
        except Exception as error:
            raise self._error("", error) from error
        try:
            for attempt, trial, study in news:
                if study not in failed:
                    try:
                        touched += self._copy_patiently(client, attempt, trial, study)
                    except DvtaError:
                        raise
                    except Exception as error:
                        failed[study] = error  # the other studies go on
                if len(self._reached) >= NOTED_AT_ONCE:
                    self._note()
        finally:
            self._note()
        for study, why in failed.items():
            raise self._error(f"study {study}: ", why) from why
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
            self._send(client, run_id, attempt, epochs, last, _parameters(trial) if mirrored is None else {})
        self._reached[attempt.id] = (last, state.value)
        return True

    def _note(self) -> None:
        """Note how far attempts were copied; what a crash leaves unnoted is copied again, to no effect."""
        self._store.note_mirrored(self._place, self._reached)
        self._reached.clear()

    @staticmethod
    def _send(
        client: Any,
        run_id: str,
        attempt: AttemptRow,
        epochs: list[EpochRow],
        last: int,
        parameters: Mapping[str, str],
    ) -> None:
        """Log parameters, epochs and, once there is one, the end; a terminated run is complete."""
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
        tags = [RunTag(f"dvta.{k}", str(v)[:5000]) for k, v in end.items() if v != "" and state.is_finished]
        params = [Param(k, v) for k, v in parameters.items()][:PARAMETERS]
        for start in range(0, max(len(metrics), 1), BATCH):
            client.log_batch(run_id, metrics[start : start + BATCH], params, tags)
            params, tags = [], []
        if state.is_finished:
            status = "FINISHED" if state is not State.FAILED else "FAILED"
            client.set_terminated(run_id, status=status, end_time=when)

    def _run(self, client: Any, attempt: AttemptRow, trial: TrialRow, study: str) -> tuple[str, bool]:
        """Return the run of an attempt, noted, and whether it is complete.

        It is the one that an earlier mirror left behind, or a new one; where two mirrors make one at
        once, the one noted first stays.
        """
        experiment = self._study(client, study)
        left = self._left_behind(client, experiment, str(attempt.id), trial.key)
        run_id = left.info.run_id if left else self._make(client, attempt, trial, experiment)
        noted = self._store.note_run(attempt.id, self._place, run_id)
        if noted != run_id and not left:
            client.delete_run(run_id)
        return noted, bool(left) and noted == run_id and left.info.status in ("FINISHED", "FAILED")

    def _left_behind(self, client: Any, experiment: _Experiment, attempt: str, trial: str) -> Any:
        """Return the run that another mirror made for an attempt and did not note, or None."""
        assert self._newest_before is not None
        if experiment.used and int(attempt) <= self._newest_before:
            mine = f"tags.`dvta.attempt` = '{attempt}' AND tags.`dvta.trial` = '{trial}'"
            return next(iter(client.search_runs([experiment.id], mine, max_results=1)), None)
        if experiment.id not in self._open_runs:
            # a run is noted before anything is logged, so one that is not noted has not ended
            unfinished = "attributes.status = 'RUNNING' AND tags.`dvta.attempt` != ''"
            self._open_runs[experiment.id] = {
                (run.data.tags["dvta.attempt"], run.data.tags["dvta.trial"]): run
                for run in _every_run(client, experiment.id, unfinished)
            }
        return self._open_runs[experiment.id].get((attempt, trial))

    def _make(self, client: Any, attempt: AttemptRow, trial: TrialRow, experiment: _Experiment) -> str:
        tags = {
            "mlflow.parentRunId": experiment.parent,
            "mlflow.source.git.commit": attempt.provenance.get("git_commit", ""),
            "dvta.attempt": str(attempt.id),
            "dvta.trial": trial.key,
            "dvta.data_digest": trial.data_digest,
            "dvta.source": trial.source,
            "dvta.protocol": "final: last epoch; best: best epoch on the unseen test classes",
            **{f"dvta.{k}": str(v) for k, v in attempt.provenance.items() if k != "git_commit"},
        }
        run = client.create_run(
            experiment.id,
            start_time=int(attempt.started * 1000),
            tags=tags,
            run_name=self._store.names([trial.key])[trial.key],
        )
        return str(run.info.run_id)

    def _study(self, client: Any, study: str) -> _Experiment:
        """Return a study's experiment with its parent run, both made where missing."""
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
            used = bool(client.search_runs([experiment], "tags.`dvta.trial` != ''", max_results=1))
            self._experiments[study] = _Experiment(experiment, str(parent), used)
        return self._experiments[study]

    @staticmethod
    def _oldest(client: Any, experiment: str, study: str) -> str | None:
        runs = client.search_runs([experiment], f"tags.`dvta.study` = '{study}'")
        return min(((r.info.start_time, r.info.run_id) for r in runs), default=(0, None))[1]


def _every_run(client: Any, experiment: str, wanted: str) -> Iterator[Any]:
    """Yield all runs of an experiment that a filter lets through, page by page."""
    token: str | None = None
    while token is None or token:
        page = client.search_runs([experiment], wanted, max_results=1000, page_token=token)
        yield from page
        token = page.token or ""


def _parameters(trial: TrialRow) -> dict[str, str]:
    """Return everything that a trial is made of."""
    identity = {c: getattr(trial, c) for c in COLUMNS}
    flat = flat_config(identity, trial.options, trial.training, trial.stand_in)
    return {name: format_value(value) for name, value in flat.items() if value is not None}


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
