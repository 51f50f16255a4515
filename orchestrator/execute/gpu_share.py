"""How much of a GPU a trial needs, measured by the first one."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.execute.protocol import Job, Jobs, Report
from orchestrator.records import Wait
from orchestrator.trial import Trial


class First:
    """What the first worker does and nothing after it; keeps what that worker said of itself."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._handed_out: set[str] = set()
        self._claimed = False
        self.worker: dict[str, float] = {}

    def next_trials(self, workers: int = 1, device: str = "cpu") -> tuple[Trial, ...] | Wait | None:
        """Return the first trials, and the next ones where others had claimed all of those."""
        if self._claimed:
            return None
        if self._handed_out:
            return Wait()
        trials = self._jobs.next_trials(workers, device)
        if isinstance(trials, tuple):
            self._handed_out = {trial.key for trial in trials}
        return trials

    def claim(self, trial: Trial) -> Job | None:
        """Pass through."""
        job = self._jobs.claim(trial)
        self._handed_out.discard(trial.key)
        self._claimed = self._claimed or job is not None
        return job

    def features(self, digest: str) -> Any:
        """Pass through."""
        return self._jobs.features(digest)

    def on_report(self, report: Report) -> bool:
        """Keep the worker's numbers and pass through."""
        numbers = {k: float(v) for k, v in report.worker.items() if isinstance(v, int | float)}
        self.worker |= numbers
        return self._jobs.on_report(report)

    def on_worker_lost(self, attempt_id: int, error: str, final: bool) -> None:
        """Pass through."""
        self._jobs.on_worker_lost(attempt_id, error, final)

    @property
    def stopping(self) -> bool:
        """Whether everything should stop."""
        return self._jobs.stopping


def gpu_share(peak_mib: float, total_mib: float) -> float:
    """Return the share of a GPU for a trial: a fifth above its peak, in steps of 0.05; 1 if unmeasured."""
    if peak_mib <= 0 or total_mib <= 0:
        return 1.0
    return min(1.0, max(0.05, math.ceil(1.2 * peak_mib / total_mib / 0.05 - 1e-9) * 0.05))
