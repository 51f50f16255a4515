"""What Tune calls in the driver's process: for trials, their order, starts, results and deaths.

Imported by ``ray_tune`` alone, after it has set what Tune reads when it is imported.
"""

from __future__ import annotations

import contextlib
from typing import Any

import ray
from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from orchestrator.execute.failures import failure
from orchestrator.execute.pieces import Pieces
from orchestrator.execute.protocol import Job, Jobs, Report
from orchestrator.records import Wait
from orchestrator.trial import Kind


class _NotPickled:
    """Stays in this process: Tune pickles what it is given to files that are never read back."""

    def __deepcopy__(self, memo: object) -> Any:
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class Feed(_NotPickled, Searcher):
    """Hands the driver's trials to Tune.

    Attributes:
        error: what went wrong here.
    """

    def __init__(self, jobs: Jobs, pieces: Pieces, workers: int, device: str) -> None:
        super().__init__(metric="training_iteration", mode="max")
        self._jobs, self._pieces = jobs, pieces
        self._workers, self._device = workers, device
        self.error: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing is to run any more: the sweep was asked to stop, or something went wrong here."""
        return self._jobs.stopping or self.error is not None

    def set_search_properties(self, *args: Any, **kwargs: Any) -> bool:
        """Take any metric: trials are not searched for here."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """Hand out the next piece of work, whose worker is told of it later; None while there is none."""
        if self.ended:
            return Searcher.FINISHED
        try:
            trials = self._jobs.next_trials(self._workers, self._device)
        except BaseException as error:
            self.error = error
            return Searcher.FINISHED
        if trials is None:
            return Searcher.FINISHED
        if isinstance(trials, Wait):
            return None
        self._pieces.hand_out(trial_id, trials)
        return {}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the stopper sees every result first."""

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: the driver has the report."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Refuse: nothing was saved."""
        raise NotImplementedError("a sweep is resumed by running it again")


class InOrder(_NotPickled, FIFOScheduler):
    """Starts trials in their order, and has Tune forget those that have ended.

    Tune keeps some 40 KB of every trial it ever had, looks through all of them for one that waits, and sums
    them up at the end; the store has what is to be known of them.
    """

    NOTED = ("_stopped_trials", "_failed_trials", "_trials_to_cache")  # where Tune notes ended trials

    def __init__(self) -> None:
        super().__init__()
        self._open: list[Any] = []

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Note a trial."""
        self._open.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the first trial that waits, None where none does."""
        ended = {trial for trial in self._open if trial.is_finished()}
        if ended:
            self._open = [trial for trial in self._open if trial not in ended]
            self._forget(tune_controller, ended)
        return next((trial for trial in self._open if trial.status == trial.PENDING), None)

    def _forget(self, tune_controller: Any, ended: set[Any]) -> None:
        trials = tune_controller.get_trials()
        trials[:] = [trial for trial in trials if trial not in ended]
        for name in self.NOTED:
            getattr(tune_controller, name, set()).difference_update(ended)


class Workers(_NotPickled, TrialProgressCallback):
    """Gives an actor that has started its jobs, and tells the driver of those that died.

    Stands in for Tune's own display, which keeps every trial, shown or not.
    """

    def __init__(self, jobs: Jobs, pieces: Pieces, feed: Feed) -> None:
        self._jobs, self._pieces, self._feed = jobs, pieces, feed
        self._published: dict[str, list[ray.ObjectRef]] = {}  # type: ignore[type-arg]
        self._tried: set[str] = set()
        self._trials: dict[str, Any] = {}  # Tune's own: one that held its actor would keep it alive

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any
    ) -> None:
        """Nothing to show."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Claim what waits for an actor that has started, and give it that."""
        if self._feed.ended:
            return
        self._trials[trial.trial_id] = trial
        try:
            jobs = [job for job in self._pieces.begin(trial.trial_id) if self._publish(trial.trial_id, job)]
        except BaseException as error:
            self._feed.error = error
            return
        # in lists, as Ray would send what a bare reference stands for
        refs = {job.features: self._published[job.features] for job in jobs if job.features}
        trial.temporary_state.ray_actor.take.remote(jobs, refs)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Load what the next trials read while others train."""
        for trial in self._pieces.waiting():
            digest = trial.data_digest
            if trial.kind is Kind.PROFILE or digest in self._tried or self._jobs.stopping:
                continue
            self._tried.add(digest)
            with contextlib.suppress(Exception):  # what cannot be read is said when it is begun
                self._load(digest)

    def drop(self, name: str, attempt_id: int) -> None:
        """Have a worker let go of an attempt before Tune's next call."""
        actor = self._trials[name].temporary_state.ray_actor
        if actor is not None:
            actor.drop.remote(attempt_id)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that an actor died and another takes over."""
        self._lost(trial, final=False)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that an actor died and none takes over."""
        self._lost(trial, final=True)
        self._trials.pop(trial.trial_id, None)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget a trial."""
        self._trials.pop(trial.trial_id, None)

    def _publish(self, name: str, job: Job) -> bool:
        """Publish the features of a job; it fails where they cannot be read."""
        try:
            if job.features:
                self._load(job.features)
        except Exception as error:
            self._pieces.on_reports(name, [Report(job.attempt_id, failure=failure(error))])
            return False
        return True

    def _load(self, digest: str) -> None:
        if digest not in self._published:
            self._published[digest] = [ray.put(self._jobs.features(digest))]

    def _lost(self, trial: Any, *, final: bool) -> None:
        if self._feed.ended:
            return  # what has begun is let go at the end, the rest was never claimed
        try:
            error = str(trial.get_error() or "the worker process died").strip().splitlines()[-1]
            self._pieces.on_worker_lost(trial.trial_id, error, final=final)
        except BaseException as broken:
            self._feed.error = broken


class Reports(_NotPickled, tune.Stopper):
    """Passes every report to the driver before Tune does anything with it."""

    def __init__(self, jobs: Jobs, pieces: Pieces, feed: Feed, workers: Workers) -> None:
        self._jobs, self._pieces, self._feed, self._workers = jobs, pieces, feed, workers

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return whether a piece of work is done or to be stopped."""
        reports: list[Report] | None = result.pop("reports", None)
        if reports is None:
            return False
        try:
            for attempt_id in self._pieces.on_reports(trial_id, reports):
                self._workers.drop(trial_id, attempt_id)
            if not reports and not self._jobs.stopping and self._pieces.has_work(trial_id):
                self._pieces.on_worker_lost(trial_id, "a worker did not get its job", final=True)
        except BaseException as error:
            self._feed.error = error
            return True
        return self._jobs.stopping or not self._pieces.has_work(trial_id)

    def stop_all(self) -> bool:
        """Return whether nothing is to run any more."""
        return self._feed.ended
