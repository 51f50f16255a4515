"""What each of several workers has in hand: trials handed out, then the jobs of those that were claimed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from orchestrator.execute.protocol import Job, Jobs, Report
from orchestrator.trial import Trial


class Pieces:
    """The pieces of work of one executor, by the names it gives them.

    Trials wait for a worker unclaimed. Once one has begun, their jobs stay the worker's until they end, are
    stopped, or go to the worker that is started in place of a dead one.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._waiting: dict[str, tuple[Trial, ...]] = {}
        self._begun: dict[str, dict[int, Job]] = {}

    def hand_out(self, name: str, trials: tuple[Trial, ...]) -> None:
        """Note the trials of a piece of work that waits for a worker."""
        self._waiting[name] = trials

    def waiting(self) -> list[Trial]:
        """Return the trials that wait for a worker, those handed out first before the others."""
        return list(itertools.chain.from_iterable(self._waiting.values()))

    def begin(self, name: str) -> list[Job]:
        """Return the jobs for the worker of a piece: of the trials that can be claimed, or those it had."""
        self._claim(name)
        return list(self._begun[name].values())

    def on_reports(self, name: str, reports: Iterable[Report]) -> list[int]:
        """Pass reports on; return the attempts that their worker should let go of."""
        stopped = []
        for report in reports:
            stop = self._jobs.on_report(report)
            if report.last or stop:
                self._begun.get(name, {}).pop(report.attempt_id, None)
            if stop and not report.last:
                stopped.append(report.attempt_id)
        if not self.has_work(name):
            self._begun.pop(name, None)
        return stopped

    def has_work(self, name: str) -> bool:
        """Return whether a piece that was begun has jobs that have not ended."""
        return bool(self._begun.get(name))

    def on_worker_lost(self, name: str, error: str, *, final: bool) -> None:
        """Note the death of a worker, maybe before it had begun; another takes over unless ``final``.

        Of several jobs the other worker takes over the first; the rest are done apart, so that one that
        kills its workers costs the others no more than one of theirs.
        """
        self._claim(name)
        jobs = self._begun[name]
        for attempt_id in list(jobs)[0 if final else 1 :]:
            del jobs[attempt_id]
            self._jobs.on_worker_lost(attempt_id, error, True)
        for attempt_id in jobs:
            self._jobs.on_worker_lost(attempt_id, error, False)

    def _claim(self, name: str) -> None:
        claimed = [self._jobs.claim(trial) for trial in self._waiting.pop(name, ())]
        self._begun.setdefault(name, {}).update({job.attempt_id: job for job in claimed if job is not None})
