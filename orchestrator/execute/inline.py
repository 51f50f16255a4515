"""The executor that runs every trial in this process, one after the other."""

from __future__ import annotations

import functools
import time

from orchestrator.execute.protocol import Jobs
from orchestrator.execute.worker import start
from orchestrator.records import Wait


class InlineExecutor:
    """Runs trials here: for debugging, for tests, and where Ray is not wanted."""

    def __init__(self, poll_seconds: float = 0.2) -> None:
        self._poll_seconds = poll_seconds

    def run(self, jobs: Jobs, *, alone: bool = False) -> None:
        """Carry out every job; between epochs, a stop request leaves a checkpoint behind."""
        load = functools.lru_cache(maxsize=2)(jobs.features)
        while not jobs.stopping:
            trials = jobs.next_trials()
            if trials is None:
                return
            if isinstance(trials, Wait):
                time.sleep(self._poll_seconds)
                continue
            job = jobs.claim(trials[0])
            if job is None:
                continue
            attempt = start(job, load)
            while True:
                report = attempt.step()
                stop = jobs.on_report(report)
                if report.last:
                    break
                if stop or jobs.stopping:
                    attempt.save()
                    break
