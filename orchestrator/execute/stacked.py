"""What a worker carries out: one attempt by itself, or several trained as one stacked model.

Stacked attempts stay attempts of their own: each has its epochs, checkpoints, log, weights and end, and one
that fails or is stopped leaves the others alone. What one of them saved, an attempt by itself goes on from, and
the other way round.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from dvta.stacking import Stack
from dvta.training import EpochResult, Fit
from orchestrator.execute.capture import Log, capturing
from orchestrator.execute.failures import failure
from orchestrator.execute.protocol import Job, Report
from orchestrator.execute.worker import AlignmentAttempt, Attempt, LoadFeatures, start

log = logging.getLogger(__name__)


class Work(Protocol):
    """One or more attempts on one worker: call :meth:`step` while it :attr:`goes_on`."""

    @property
    def goes_on(self) -> bool:
        """Whether an attempt has neither ended nor been dropped."""

    def step(self) -> list[Report]:
        """Train for at least ``report_seconds``, or to the end of an attempt; return the news."""

    def drop(self, attempt_id: int) -> None:
        """Let go of an attempt that is pruned, or another driver's by now: nothing more is written for it."""

    def save(self) -> None:
        """Write a checkpoint of every attempt that has not ended."""


def begin(jobs: Sequence[Job], load_features: LoadFeatures) -> Work:
    """Return the work of one job, or of several to be trained as one model."""
    if len(jobs) == 1:
        return Apart(start(jobs[0], load_features))
    return Stacked([Member(job, load_features) for job in jobs])


class Apart:
    """An attempt by itself."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt: Attempt | None = attempt

    @property
    def goes_on(self) -> bool:
        """Whether the attempt has neither ended nor been dropped."""
        return self._attempt is not None

    def step(self) -> list[Report]:
        """Take a step of the attempt."""
        assert self._attempt is not None
        report = self._attempt.step()
        if report.last:
            self._attempt = None
        return [report]

    def drop(self, attempt_id: int) -> None:
        """Let go of the attempt."""
        if self._attempt is not None:
            self._attempt.let_go()
        self._attempt = None

    def save(self) -> None:
        """Write a checkpoint."""
        if self._attempt is not None:
            self._attempt.save()


class Member(AlignmentAttempt):
    """An attempt whose epochs come from a stack: its first step opens it, each later one takes an epoch."""

    def __init__(self, job: Job, load_features: LoadFeatures) -> None:
        super().__init__(dataclasses.replace(job, report_seconds=0.0), load_features)
        self.report_seconds = job.report_seconds
        self._trained: collections.deque[EpochResult | BaseException] = collections.deque()

    @property
    def run(self) -> Fit:
        """The training run of an attempt that was opened."""
        assert self._fit is not None
        return self._fit

    @property
    def printed(self) -> Log:
        """The log of the attempt."""
        return self._log

    def open(self, others: Sequence[Member], size: int) -> Report:
        """Open the run in a stack of a size, of whose other members some are open; return its news."""
        report = self.step()
        if not report.last:
            self._worker["stack"] = size
            if others:
                # features without the classes held out are a copy, which may be large
                self._features = others[0]._features
        return report

    def take(self, result: EpochResult | BaseException) -> Report:
        """Take the epoch that was trained, or what went wrong in it."""
        self._trained.append(result)
        return self.step()

    def _step(self) -> Report:
        if self._fit is None:
            return Report(self.job.attempt_id, tuple(self._start()), worker=self._worker)
        return super()._step()

    def _next(self) -> EpochResult | None:
        if not self._trained:
            return None
        result = self._trained.popleft()
        if isinstance(result, BaseException):
            raise result
        return result


class Stacked:
    """Attempts trained as one model, those at the same epoch together: one that is behind catches up first."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members
        self._opened = self._apart = False
        self._stack: Stack | None = None

    @property
    def goes_on(self) -> bool:
        """Whether a member has neither ended nor been dropped."""
        return bool(self._members)

    def step(self) -> list[Report]:
        """Train for at least the members' ``report_seconds``, or until one ends; return the news of all."""
        news: dict[int, Report] = {}
        started = time.monotonic()
        if not self._opened:
            self._opened = True
            self._open(news)
        while self._members and not any(report.last for report in news.values()):
            self._note(news, self._epoch())
            if time.monotonic() - started >= min((m.report_seconds for m in self._members), default=0.0):
                break
        return list(news.values())

    def drop(self, attempt_id: int) -> None:
        """Let go of a member."""
        for member in self._members:
            if member.job.attempt_id == attempt_id:
                member.let_go()
        self._members = [m for m in self._members if m.job.attempt_id != attempt_id]

    def save(self) -> None:
        """Write a checkpoint of every member."""
        for member in self._members:
            member.save()

    def _open(self, news: dict[int, Report]) -> None:
        members, opened = self._members, list[Member]()
        for member in members:
            report = member.open(opened, len(members))
            self._note(news, [(member, report)])
            if not report.last:
                opened.append(member)

    def _note(self, news: dict[int, Report], reports: list[tuple[Member, Report]]) -> None:
        """Add reports to those of the same attempts; members that ended leave."""
        for member, report in reports:
            earlier = news.get(report.attempt_id)
            if earlier is not None:
                report = dataclasses.replace(report, epochs=(*earlier.epochs, *report.epochs))
            news[report.attempt_id] = report
            if report.last:
                self._members = [m for m in self._members if m is not member]

    def _epoch(self) -> list[tuple[Member, Report]]:
        """Train an epoch of the members that are furthest behind; end those that have no more."""
        ended = [m for m in self._members if m.run.epoch >= m.run.config.epochs]
        if ended:
            return [(m, m.step()) for m in ended]
        epoch = min(m.run.epoch for m in self._members)
        behind = [m for m in self._members if m.run.epoch == epoch]
        with capturing(_Logs([m.printed for m in behind])):
            results = self._train(behind)
        return [(m, m.take(result)) for m, result in zip(behind, results, strict=True)]

    def _train(self, members: list[Member]) -> Sequence[EpochResult | BaseException]:
        if len(members) > 1 and not self._apart:
            runs = [m.run for m in members]
            try:
                if self._stack is None or self._stack.fits != runs:
                    self._stack = Stack(runs)
                return [result for _, result in next(self._stack)]
            except (Exception, SystemExit) as error:
                self._stack = None
                if failure(error).kind == "out_of_memory":
                    with contextlib.suppress(Exception):  # then they go on from an earlier checkpoint
                        self.save()
                    return [error] * len(members)
                # of whom it is shows when each trains the epoch by itself
                self._apart = True
                log.warning("%d trials cannot be trained as one model (%s)", len(members), error)
        return [_epoch_of(m.run) for m in members]


class _Logs(Log):
    """Writes to several logs: what a stack prints is of all its members."""

    def __init__(self, logs: list[Log]) -> None:
        super().__init__("", 0)
        self._logs = logs

    def write(self, text: str) -> None:
        """Append a text to every log."""
        for each in self._logs:
            each.write(text)


def _epoch_of(run: Fit) -> EpochResult | BaseException:
    """Return the next epoch of a run by itself, or what went wrong in it."""
    try:
        return next(run)
    except (Exception, SystemExit) as error:
        return error
