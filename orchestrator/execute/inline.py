"""The executor that runs every trial in this process, one after the other."""

from __future__ import annotations

import functools
import time

from orchestrator.execute.grouping import device_type
from orchestrator.execute.protocol import Jobs
from orchestrator.execute.stacked import Work, begin
from orchestrator.records import Wait


class InlineExecutor:
    """Runs trials here: for debugging, for tests, and where Ray is not wanted."""

    def __init__(self, poll_seconds: float = 0.2) -> None:
        self._poll_seconds = poll_seconds

    def run(self, jobs: Jobs, *, alone: bool = False) -> None:
        """Carry out every job; between epochs, a stop request leaves a checkpoint behind."""
        load = functools.lru_cache(maxsize=2)(jobs.features)
        while not jobs.stopping:
            trials = jobs.next_trials(device=device_type(0))
            if trials is None:
                return
            if isinstance(trials, Wait):
                time.sleep(self._poll_seconds)
                continue
            claimed = [job for trial in trials if (job := jobs.claim(trial)) is not None]
            if claimed:
                carry_out(begin(claimed, load), jobs)


def carry_out(work: Work, jobs: Jobs) -> None:
    """Work until every attempt has ended or is to stop."""
    while work.goes_on:
        for report in work.step():
            if jobs.on_report(report) and not report.last:
                work.drop(report.attempt_id)
        if jobs.stopping:
            work.save()
            return
