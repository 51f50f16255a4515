"""What is new in the store, copied attempt by attempt.

A parent run per study, a child run per attempt. How far which MLflow has an attempt is noted in the
store; metrics carry the store's time stamps, so that repeating a copy changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dvta.errors import DvtaError
from orchestrator.mirror import files, runs
from orchestrator.mirror.bulk import Bulk, open_bulk
from orchestrator.mirror.files import MirrorError, without_login
from orchestrator.mirror.studies import Experiment, Experiments
from orchestrator.records import StudySummary
from orchestrator.store import Store
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State

log = logging.getLogger(__name__)
News = tuple[AttemptRow, TrialRow, str]  # an attempt, its trial, a study that asked for it
AT_ONCE = 100  # runs written in one transaction
NOTED_AT_ONCE = 50  # attempts whose progress is noted in one transaction


class Mirror:
    """Copies what is new in the store to an MLflow tracking URI.

    What an attempt costs does not grow with their number. Where the tracking URI is a database, attempts
    that have ended before their run was made are written many at once; others take four calls (make,
    dataset, log, end) and a share of one search for runs that another mirror is making now. Only attempts
    older than this mirror are searched one by one, where their experiment had runs already.

    Args:
        models: the folder of kept weights, ``<key>.pt``, which become artifacts of their runs.
    """

    def __init__(self, store: Store, uri: str, models: str = "") -> None:
        self._store, self._uri, self._models = store, uri, models
        self._place = without_login(uri)
        self._client: Any = None
        self._experiments: Experiments  # as soon as there is a client
        self._bulk: Bulk | None = None
        self._newest_before: int | None = None  # attempts up to this id are older than this mirror
        self._open_runs: dict[str, dict[tuple[str, str], Any]] = {}  # of this flush, by experiment
        self._places: dict[str, list[runs.Place]] = {}  # of this flush, by trial
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
            self._connected()
            news = self._news(everything=everything)
            self._open_runs.clear()
            fresh = [trial.key for attempt, trial, _ in news if attempt.mlflow_run_id is None or everything]
            self._places = self._store.places(fresh)
        except DvtaError:
            raise
        except Exception as error:
            raise self._error("", error) from error
        try:
            # first what ran a moment ago: read later, its epochs would be of one that has ended meanwhile
            touched += self._copy_each([n for n in news if not State(n[0].state).is_finished], failed)
            ended = [n for n in news if State(n[0].state).is_finished]
            whole = self._copy_whole(ended)
            touched += len(whole) + self._copy_each([n for n in ended if n[0].id not in whole], failed)
        finally:
            self._note()
        for study, why in failed.items():
            raise self._error(f"study {study}: ", why) from why
        return touched

    def has_news(self) -> bool:
        """Whether there is something to copy, which the store alone can tell."""
        return bool(self._news(everything=False))

    def describe(self, study: str, summary: StudySummary) -> None:
        """Write what a study amounts to, to its parent run.

        Raises:
            MirrorError: MLflow does not answer.
        """
        try:
            self._connected()
            self._experiments.describe(study, summary)
        except DvtaError:
            raise
        except Exception as error:
            raise self._error(f"study {study}: ", error) from error

    def register(self, name: str, trial: str) -> str:
        """Register the kept weights of a trial (its key) as a new version of a model; return the version.

        Raises:
            MirrorError: its run is not here, has no weights, or MLflow does not answer.
        """
        done = [a for a in self._store.attempts([trial]) if a.state == State.DONE]
        run_ids = [a.mlflow_run_id for a in done if a.mlflow_run_id]
        try:
            client = self._connected()
            if not run_ids or not client.list_artifacts(run_ids[-1], runs.MODEL):
                raise MirrorError(
                    f"trial {trial[:10]}: MLflow has no weights of it; keep them with checkpoint: {{models: all}}"
                )
            with contextlib.suppress(Exception):  # it is registered already
                client.create_registered_model(name)
            source = f"runs:/{run_ids[-1]}/{runs.MODEL}"
            return str(client.create_model_version(name, source, run_ids[-1]).version)
        except DvtaError:
            raise
        except Exception as error:
            raise self._error(f"model {name}: ", error) from error

    def left_elsewhere(self) -> int:
        """Return how many attempts another MLflow has, and this one not."""
        return self._store.mirrored_elsewhere(self._place)

    # --- inside -------------------------------------------------------------------------------

    def _news(self, *, everything: bool) -> list[News]:
        news = self._store.unmirrored(self._place, everything=everything)
        if self._newest_before is None:
            self._newest_before = self._store.newest_attempt()
        return news

    def _connected(self) -> Any:
        if self._client is None:
            self._client = files.connect(self._uri)
            self._experiments = Experiments(self._client, self._uri)
            self._bulk = open_bulk(self._uri)
        return self._client

    def _error(self, what: str, error: Exception) -> MirrorError:
        self._client = None
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return MirrorError(f"MLflow at {self._place} cannot be written: {what}{first}")

    def _copy_each(self, news: Sequence[News], failed: dict[str, Exception]) -> int:
        """Copy attempts one by one but for those of studies that failed; return how many were touched."""
        touched = 0
        for attempt, trial, study in news:
            if study not in failed:
                try:
                    touched += self._copy_patiently(attempt, trial, study)
                except DvtaError:
                    raise
                except Exception as error:
                    failed[study] = error  # the other studies go on
            if len(self._reached) >= NOTED_AT_ONCE:
                self._note()
        return touched

    def _copy_patiently(self, attempt: AttemptRow, trial: TrialRow, study: str) -> bool:
        """Copy an attempt; once more after what somebody deleted or wrote at the same moment."""
        try:
            return self._copy(attempt, trial, study)
        except Exception:
            self._experiments.forget(study)
            self._restore(attempt, study)
            return self._copy(attempt, trial, study)

    def _restore(self, attempt: AttemptRow, study: str) -> None:
        """Restore what was deleted of an attempt in MLflow."""
        if self._experiments.restore(study):
            log.warning(
                "MLflow: the experiment %r was deleted there and is restored: its study goes on", study
            )
            return
        run_id = attempt.mlflow_run_id if attempt.mlflow_uri == self._place else None
        if run_id and self._client.get_run(run_id).info.lifecycle_stage == "deleted":
            self._client.restore_run(run_id)
            log.warning("MLflow: the run %s was deleted there and is restored: its attempt goes on", run_id)

    def _copy_whole(self, news: Sequence[News]) -> set[int]:
        """Copy those of attempts that have ended which have no run here, many at once; return their ids.

        What cannot be written so is left to be copied one by one, which says what is wrong.
        """
        if self._bulk is None:
            return set()
        copied: set[int] = set()
        fresh = [
            (attempt, trial, study)
            for attempt, trial, study in news
            if attempt.mlflow_run_id is None or attempt.mlflow_uri != self._place
        ]
        for start in range(0, len(fresh), AT_ONCE):
            some = fresh[start : start + AT_ONCE]
            try:
                copied |= self._write_whole(self._bulk, some)
            except Exception as error:
                log.debug("%d runs could not be written at once: %s", len(some), error)
        return copied

    def _write_whole(self, bulk: Bulk, fresh: Sequence[News]) -> set[int]:
        """Write runs in one transaction and note them; return the attempts whose they are."""
        names = self._store.names([trial.key for _, trial, _ in fresh])
        measured = self._store.epochs_of([attempt.id for attempt, _, _ in fresh])
        found: dict[int, tuple[runs.WholeRun, AttemptRow, TrialRow]] = {}
        for attempt, trial, study in fresh:
            experiment = self._experiments.get(study, attempt.started)
            if self._left_behind(experiment, str(attempt.id), trial.key) is None:
                places = self._places_of(trial, study)
                run = runs.whole(experiment, attempt, trial, names[trial.key], places, measured[attempt.id])
                found[attempt.id] = run, attempt, trial
        bulk.write([run for run, _, _ in found.values()])
        noted = self._store.note_runs(self._place, {i: run.id for i, (run, _, _) in found.items()})
        for run, attempt, _ in found.values():
            # where weights cannot be logged, the attempts that are left go on in these runs
            attempt.mlflow_uri, attempt.mlflow_run_id = self._place, noted[attempt.id]
            attempt.mirrored_epoch, attempt.mirrored_state = 0, None
            if noted[attempt.id] != run.id:
                self._client.delete_run(run.id)
        for run, attempt, trial in found.values():
            if noted[attempt.id] == run.id:
                self._log_weights(run.id, trial, State(attempt.state))
            epochs = measured[attempt.id]
            self._reached[attempt.id] = (epochs[-1].epoch if epochs else 0, attempt.state)
        self._note()
        return set(found)

    def _log_weights(self, run_id: str, trial: TrialRow, state: State) -> None:
        weights = Path(self._models, f"{trial.key}.pt")
        if self._models and state is State.DONE and weights.is_file():
            self._client.log_artifact(run_id, str(weights), runs.MODEL)

    def _copy(self, attempt: AttemptRow, trial: TrialRow, study: str) -> bool:
        here = attempt.mlflow_uri == self._place
        epoch, mirrored = (attempt.mirrored_epoch, attempt.mirrored_state) if here else (0, None)
        epochs = self._store.epochs(attempt.id, after=epoch)
        state = State(attempt.state)
        # what waits for a worker has not begun
        if not epochs and (mirrored == state or not state.is_finished):
            return False
        run_id, complete = attempt.mlflow_run_id, False
        if run_id is None or not here:
            run_id, complete = self._run(attempt, trial, study)
        last = epochs[-1].epoch if epochs else epoch
        # a run that was written whole had ended before its weights were logged
        self._log_weights(run_id, trial, state)
        if not (complete and state.is_finished):
            first = mirrored is None
            if first:
                runs.log_dataset(self._client, run_id, trial)
            runs.send(self._client, run_id, attempt, epochs, last, trial if first else None)
        self._reached[attempt.id] = (last, state.value)
        return True

    def _note(self) -> None:
        """Note how far attempts were copied; what a crash leaves unnoted is copied again, to no effect."""
        self._store.note_mirrored(self._place, self._reached)
        self._reached.clear()

    def _run(self, attempt: AttemptRow, trial: TrialRow, study: str) -> tuple[str, bool]:
        """Return the run of an attempt, noted, and whether it is complete.

        It is the one that an earlier mirror left behind, or a new one; where two mirrors make one at
        once, the one noted first stays.
        """
        experiment = self._experiments.get(study, attempt.started)
        left = self._left_behind(experiment, str(attempt.id), trial.key)
        run_id = left.info.run_id if left else self._make(attempt, trial, experiment, study)
        noted = self._store.note_runs(self._place, {attempt.id: run_id})[attempt.id]
        if noted != run_id and not left:
            self._client.delete_run(run_id)
        return noted, bool(left) and noted == run_id and left.info.status in ("FINISHED", "FAILED")

    def _left_behind(self, experiment: Experiment, attempt: str, trial: str) -> Any:
        """Return the run that another mirror made for an attempt and did not note, or None."""
        assert self._newest_before is not None
        client = self._client
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

    def _make(self, attempt: AttemptRow, trial: TrialRow, experiment: Experiment, study: str) -> str:
        name = self._store.names([trial.key])[trial.key]
        return runs.make(self._client, experiment, attempt, trial, name, self._places_of(trial, study))

    def _places_of(self, trial: TrialRow, study: str) -> list[runs.Place]:
        """Return a trial's cells, those of the study whose run it is first."""
        return sorted(self._places.get(trial.key, []), key=lambda place: place[0] != study)


def _every_run(client: Any, experiment: str, wanted: str) -> Iterator[Any]:
    """Yield all runs of an experiment that a filter lets through, page by page."""
    token: str | None = None
    while token is None or token:
        page = client.search_runs([experiment], wanted, max_results=1000, page_token=token)
        yield from page
        token = page.token or ""


class MirrorThread:
    """Mirrors in the background while a sweep runs, and to the end when it is closed.

    Args:
        summary: makes what is said of the study at the end.
    """

    SECONDS = 3.0

    def __init__(
        self, mirror: Mirror, study: str = "", summary: Callable[[], StudySummary] | None = None
    ) -> None:
        self._mirror, self._study, self._summary = mirror, study, summary
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._down = False

    def __enter__(self) -> MirrorThread:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._flush() and self._summary is not None:
            with contextlib.suppress(DvtaError):
                self._mirror.describe(self._study, self._summary())

    def _work(self) -> None:
        while not self._has_news():
            if self._ended.wait(self.SECONDS / 3):
                return
        while True:
            self._flush()
            if self._ended.wait(self.SECONDS):
                return

    def _has_news(self) -> bool:
        """Whether there is work: MLflow takes seconds to import, while workers are starting."""
        try:
            return self._mirror.has_news()
        except DvtaError:
            return True  # a flush says what is wrong

    def _flush(self) -> bool:
        """Copy what is new; return whether MLflow took it. What it did not take is said once."""
        try:
            self._mirror.flush()
            self._down = False
        except DvtaError as error:
            if not self._down:
                log.warning("%s; the sweep goes on, dvta-orch mirror catches up", error)
            self._down = True
        return not self._down
