"""The one process that claims trials, records what workers report and answers what runs next."""

from __future__ import annotations

import collections
import dataclasses
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

from orchestrator.errors import LeaseLostError, StoreError
from orchestrator.execute.grouping import Grouping
from orchestrator.execute.inputs import Inputs
from orchestrator.execute.protocol import Executor, Job, Loaded, Report
from orchestrator.execute.sources import TrialSource
from orchestrator.records import Failure, Outcome, Wait
from orchestrator.settings import log_path
from orchestrator.store import Claim, EpochRow, Store
from orchestrator.store.owner import is_dead, new_owner
from orchestrator.trial import Kind, State, Trial

log = logging.getLogger(__name__)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Listener(Protocol):
    """Is told what happens, to show it."""

    def started(self, trial: Trial, claim: Claim) -> None:
        """A trial started here, or went on."""

    def epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch."""

    def restarted(self, trial: Trial, error: str) -> None:
        """A trial's worker died and another takes over."""

    def ended(self, trial: Trial, state: State, message: str) -> None:
        """A trial ended here, or elsewhere."""


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """How trials are run; nothing here is part of a trial's identity."""

    checkpoints: str
    models: str = ""
    runs: str = ""
    log_bytes: int = 0
    keep_model: Callable[[Trial], bool] = lambda trial: False
    lease_seconds: float = 60.0
    checkpoint_seconds: float = 30.0
    report_seconds: float = 1.0
    threads: int = 1
    precision: str = "fp32"
    fail_fast: bool = False
    restarts: int = 3
    stack: int | str = "off"


@dataclasses.dataclass
class _Active:
    trial: Trial
    claim: Claim
    lost: bool = False


class Driver:
    """Implements :class:`orchestrator.execute.protocol.Jobs` over a store and a source of trials."""

    POLL_SECONDS = 1.0

    def __init__(
        self,
        store: Store,
        source: TrialSource,
        inputs: Inputs,
        options: SweepOptions,
        listener: Listener,
        provenance: Mapping[str, Any],
    ) -> None:
        self._store, self._source, self._inputs = store, source, inputs
        self._options, self._listener, self._provenance = options, listener, provenance
        self._groups = Grouping(source, options.stack)
        self.owner = new_owner()
        self._active: dict[int, _Active] = {}
        self._handed_out: set[str] = set()  # keys of trials that no worker has begun
        self._elsewhere: dict[str, Trial] = {}
        self._alone: collections.deque[Trial] = collections.deque()
        self._second_pass = False
        self._again: collections.deque[Trial] = collections.deque()
        self._worker_failures: collections.Counter[str] = collections.Counter()
        self._polled = 0.0
        self._by_features: dict[str, Trial] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.done = self.failed = 0
        self.displaced: StoreError | None = None  # why the store is no longer the file at its path

    @property
    def stopping(self) -> bool:
        """Whether the sweep was asked to stop."""
        return self._stop.is_set()

    @property
    def interrupted(self) -> bool:
        """Whether trials were left unfinished by a stop."""
        return self._interrupted

    _interrupted = False

    def stop(self) -> None:
        """Ask for a stop: running trials write checkpoints and stay resumable."""
        self._stop.set()

    def run(self, executor: Executor) -> None:
        """Run the source's trials to the end, or to a stop, with leases renewed meanwhile."""
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(ended,), name="leases", daemon=True)
        renewing.start()
        previous = self._catch_signals()
        try:
            self._run_passes(executor)
        except StoreError:
            self._check_place()
            if self.displaced is None:
                raise
        finally:
            ended.set()
            renewing.join()
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._check_place()
            for attempt_id in [] if self.displaced else list(self._active):
                self._release(attempt_id)

    def _run_passes(self, executor: Executor) -> None:
        executor.run(self)
        while (self._again or self._alone) and not self.stopping:
            # once begun, the second pass takes back those whose workers die in it
            self._second_pass = self._second_pass or not self._again
            executor.run(self, alone=self._second_pass)

    # --- what the executor calls -------------------------------------------------------------

    def next_trials(self, workers: int = 1, device: str = "cpu") -> tuple[Trial, ...] | Wait | None:
        """Return the next trial, or several to stack; :meth:`claim` claims each when a worker begins it."""
        if self.stopping:
            return None
        waiting = self._again or (self._alone if self._second_pass else None)
        # what was let go before is trained apart: it may be what killed its worker
        found = (waiting.popleft(),) if waiting else self._groups.next(workers, device)
        if not isinstance(found, tuple):
            if self._alone and not (self._active or self._handed_out):
                return None  # what is left waits for a trial that must run alone
            found = self._from_elsewhere(idle=found)
            if not isinstance(found, tuple):
                # what was handed out may turn out to be another driver's
                return Wait() if self._handed_out else found
        self._handed_out.update(trial.key for trial in found)
        for trial in found:
            self._by_features.setdefault(trial.data_digest, trial)
        return found

    def claim(self, trial: Trial) -> Job | None:
        """Return the job of a trial that a worker begins, None where another driver has it."""
        job = self._claim(trial)
        self._handed_out.discard(trial.key)
        return job

    def features(self, digest: str) -> Loaded:
        """Return what is read under a digest of a trial that was handed out."""
        return self._inputs.load(self._by_features[digest])

    def on_report(self, report: Report) -> bool:
        """Record a report; return whether its attempt should stop."""
        active = self._active.get(report.attempt_id)
        if active is None:
            return True
        if active.lost:
            self._lose(report.attempt_id)
            return True
        failure = report.failure
        if failure is not None and failure.kind == "out_of_memory" and not self._second_pass:
            why = f"{failure.message}; it is tried again alone at the end"
            self._put_back(report.attempt_id, report.epochs, self._alone, why)
            return True
        if not self._is_written(
            report.attempt_id,
            report.epochs,
            outcome=report.outcome,
            failure=report.failure,
            worker=report.worker,
        ):
            return True
        prune = False
        for epoch in report.epochs:
            self._listener.epoch(active.trial, epoch.epoch, epoch.metrics)
            prune = self._source.on_epoch(active.trial, epoch.epoch, epoch.metrics) or prune
        if report.outcome is not None:
            self._end(report.attempt_id, State.DONE, outcome=report.outcome)
        elif report.failure is not None:
            self._end(report.attempt_id, State.FAILED, failure=report.failure)
        elif prune:
            self._prune(report.attempt_id)
            return True
        return False

    def on_worker_lost(self, attempt_id: int, error: str, final: bool) -> None:
        """Note the death of a worker; the attempt fails when it will not be started again."""
        active = self._active.get(attempt_id)
        if active is None:
            return
        self._worker_failures[active.trial.key] += 1
        if not final:
            self._listener.restarted(active.trial, error)
            return
        if self._worker_failures[active.trial.key] <= self._options.restarts:
            # Tune gives up a trial whose reused worker is found dead; the limit is ours
            self._put_back(attempt_id, [], self._again, error)
            return
        failure = Failure("crashed", f"the worker died too often: {error}")
        if self._is_written(attempt_id, [], failure=failure):
            self._end(attempt_id, State.FAILED, failure=failure)

    # --- inside --------------------------------------------------------------------------------

    def _claim(self, trial: Trial) -> Job | None:
        options = self._options
        replaces = self._source.replaces(trial)
        claim = self._store.claim(
            trial, self.owner, options.lease_seconds, self._provenance, replaces=replaces
        )
        if claim is None:
            self._elsewhere[trial.key] = trial
            return None
        with self._lock:
            self._active[claim.attempt_id] = _Active(trial, claim)
        self._listener.started(trial, claim)
        return Job(
            attempt_id=claim.attempt_id,
            trial=trial.to_dict(),
            features="" if trial.kind is Kind.PROFILE else trial.data_digest,
            checkpoints=self._checkpoints_of(trial, claim),
            hold_out=self._inputs.held_out(trial),
            checkpoint_seconds=options.checkpoint_seconds,
            report_seconds=options.report_seconds,
            threads=options.threads,
            model=f"{options.models}/{trial.key}.pt"
            if trial.kind is Kind.ENCODER or options.keep_model(trial)
            else "",
            precision=options.precision,
            log=log_path(options.runs, trial.key, claim.number),
            log_bytes=options.log_bytes,
            payload=self._inputs.payload(trial),
        )

    def _from_elsewhere(self, idle: Wait | None) -> tuple[Trial] | Wait | None:
        """Look after the trials that other drivers hold: they end, or their lease runs out."""
        if not self._elsewhere:
            return Wait() if idle is not None else None
        if time.monotonic() - self._polled < self.POLL_SECONDS:
            return Wait()
        self._polled = time.monotonic()
        for key, status in self._store.statuses(list(self._elsewhere)).items():
            trial = self._elsewhere[key]
            if status.state in (State.DONE, State.PRUNED, State.FAILED):
                del self._elsewhere[key]
                self._listener.ended(trial, status.state, "by another sweep")
                results = self._store.results([key]).get(key, {}) if status.state is State.DONE else {}
                self._source.on_end(trial, status.state, results)
            elif status.state is not State.RUNNING or is_dead(status.owner or ""):
                if status.state is State.RUNNING and status.owner:
                    self._store.release_all(status.owner)
                return (self._elsewhere.pop(key),)
        return Wait()

    def _checkpoints_of(self, trial: Trial, claim: Claim) -> str:
        return f"{self._options.checkpoints}/{trial.key[:2]}/{trial.key}/{claim.number}"

    def _is_written(self, attempt_id: int, rows: Sequence[EpochRow], **news: Any) -> bool:
        """Record what an attempt reports; one whose lease is lost is let go."""
        try:
            self._store.record(attempt_id, self.owner, rows, **news)
        except LeaseLostError as error:
            log.warning("%s", error)
            self._lose(attempt_id)
            return False
        return True

    def _prune(self, attempt_id: int) -> None:
        try:
            self._store.prune(attempt_id, self.owner)
        except LeaseLostError:  # the search's database may have been waited for
            self._lose(attempt_id)
            return
        from orchestrator.execute.checkpoints import Checkpoints  # imports PyTorch

        trial, claim = self._active[attempt_id].trial, self._active[attempt_id].claim
        self._end(attempt_id, State.PRUNED)
        try:
            Checkpoints(self._checkpoints_of(trial, claim)).clear()
        except OSError as error:
            log.warning("the checkpoints of a pruned trial stay: %s", error)

    def _end(
        self,
        attempt_id: int,
        state: State,
        *,
        outcome: Outcome | None = None,
        failure: Failure | None = None,
    ) -> None:
        with self._lock:
            trial = self._active.pop(attempt_id).trial
        self.done += state is State.DONE
        self.failed += state is State.FAILED
        self._listener.ended(trial, state, failure.message if failure else "")
        self._source.on_end(trial, state, outcome.results if outcome else {})
        if failure is not None and self._options.fail_fast:
            self.stop()

    def _put_back(
        self, attempt_id: int, rows: Sequence[EpochRow], queue: collections.deque[Trial], why: str
    ) -> None:
        """Let go of an attempt and queue its trial; it goes on from its checkpoint."""
        with self._lock:
            trial = self._active.pop(attempt_id).trial
        try:
            self._store.record(attempt_id, self.owner, rows)
            self._store.release(attempt_id, self.owner)
        except LeaseLostError:
            self._elsewhere[trial.key] = trial
            return
        queue.append(trial)
        self._listener.restarted(trial, why)

    def _lose(self, attempt_id: int) -> None:
        with self._lock:
            active = self._active.pop(attempt_id, None)
        if active is not None:
            self._elsewhere[active.trial.key] = active.trial
            self._listener.restarted(active.trial, "its lease ran out and another sweep has it")

    def _release(self, attempt_id: int) -> None:
        with self._lock:
            active = self._active.pop(attempt_id)
        self._interrupted = True
        try:
            self._store.release(attempt_id, self.owner)
        except LeaseLostError:
            return
        self._listener.ended(active.trial, State.INTERRUPTED, "")

    def _renew(self, ended: threading.Event) -> None:
        """Keep the leases alive from a thread of its own: training may block the main one."""
        while not ended.wait(self._options.lease_seconds / 3):
            self._check_place()
            with self._lock:
                ids = list(self._active)
            if not ids:
                continue
            try:
                lost = self._store.renew(self.owner, ids, self._options.lease_seconds)
            except Exception as error:
                log.warning("the leases could not be renewed: %s", error)
                continue
            with self._lock:
                for attempt_id in lost & self._active.keys():
                    self._active[attempt_id].lost = True

    def _check_place(self) -> None:
        """Stop where the store is no longer the file at its path: nobody would find what is written."""
        try:
            self._store.check_place()
        except StoreError as error:
            self.displaced = error
            self.stop()

    def _catch_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}

        def on_signal(number: int, frame: FrameType | None) -> None:
            if self.stopping:
                raise KeyboardInterrupt
            self._interrupted = True
            self.stop()

        # one that is ignored, as SIGHUP is under nohup, stays so
        caught = [n for n in STOP_SIGNALS if signal.getsignal(n) != signal.SIG_IGN]
        return {n: signal.signal(n, on_signal) for n in caught}
