"""Where a driver gets its trials from: a plan, or one source after another."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Protocol

from orchestrator.records import Wait
from orchestrator.trial import Kind, State, Trial


class TrialSource(Protocol):
    """Where the driver gets trials from: a plan, or a search that goes on while they run."""

    @property
    def failed(self) -> int:
        """How much was not handed out because of failures, of this sweep or earlier ones."""

    def next(self) -> Trial | Wait | None:
        """Return the next trial, ``Wait`` when a running one must end first, or None at the end."""

    def ready(self) -> Trial | None:
        """Return one more trial to train beside the one just returned, None where there is none at the moment."""

    def left_out_reasons(self) -> list[str]:
        """Return a sentence for each kind of trials that were not handed out because of failures."""

    def replaces(self, trial: Trial) -> int | None:
        """Return the finished attempt that a new one of this trial replaces, None where it does not start over."""

    def on_epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Take an epoch's metrics; return whether the trial should be pruned."""

    def on_end(self, trial: Trial, state: State, results: Mapping[str, float]) -> None:
        """Take a trial's end; ``results`` is empty unless it is done."""


class PlannedTrials:
    """Trials in a given order; one that depends on another's result waits for it.

    A trial whose encoder failed is never handed out; :attr:`left_out` lists those.

    Args:
        done: keys of trials that are done already.
        replaced: key -> the finished attempt that a new one replaces.
        wait: end only when the last one handed out has ended.
    """

    def __init__(
        self,
        trials: Iterable[Trial],
        done: Iterable[str] = (),
        *,
        replaced: Mapping[str, int] | None = None,
        wait: bool = False,
    ) -> None:
        self._wait, self._replaced = wait, dict(replaced or {})
        self._waiting = collections.deque(trials)
        self._ended: dict[str, State] = dict.fromkeys(done, State.DONE)
        self._out: set[str] = set()
        self.left_out: list[Trial] = []

    @property
    def failed(self) -> int:
        """How many trials were left out because the encoder they depend on failed."""
        return len(self.left_out)

    def next(self) -> Trial | Wait | None:
        """Return the first trial whose encoder is trained."""
        for _ in range(len(self._waiting)):
            trial = self._waiting.popleft()
            needed = self._ended.get(trial.depends_on) if trial.depends_on else State.DONE
            if needed is State.DONE:
                self._out.add(trial.key)
                return trial
            if needed is not None or trial.depends_on not in self._known():
                self.left_out.append(trial)
            else:
                self._waiting.append(trial)
        return Wait() if self._waiting or (self._wait and self._out) else None

    def ready(self) -> Trial | None:
        """Return the next trial whose encoder is trained by now."""
        trial = self.next()
        return trial if isinstance(trial, Trial) else None

    def left_out_reasons(self) -> list[str]:
        """Say how many trials wait for an encoder that failed."""
        count = len(self.left_out)
        noun = "trial was" if count == 1 else "trials were"
        return [f"{count} {noun} left out: the encoder they depend on failed"] if count else []

    def replaces(self, trial: Trial) -> int | None:
        """Return the attempt that the plan replaces."""
        return self._replaced.get(trial.key)

    def on_epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Never prune."""
        return False

    def on_end(self, trial: Trial, state: State, results: Mapping[str, float]) -> None:
        """Remember the end for those who wait for it."""
        self._out.discard(trial.key)
        self._ended[trial.key] = state

    def _known(self) -> set[str]:
        return {t.key for t in self._waiting} | self._out


class Chained:
    """Two sources, one after the other: encoders, and then a search that reads their features.

    Attributes:
        blocked: whether an encoder failed, now or (given at first) in an earlier sweep; the search is
            then not begun.
    """

    def __init__(self, first: TrialSource, second: TrialSource, *, blocked: bool = False) -> None:
        self._first, self._second, self.blocked = first, second, blocked

    @property
    def failed(self) -> int:
        """What failed in both, and a search that was not begun."""
        return self._first.failed + self._second.failed + self.blocked

    def next(self) -> Trial | Wait | None:
        """Return the second source's next trial once the first has none, nor one that runs."""
        trial = self._first.next()
        return self._second.next() if trial is None and not self.blocked else trial

    def ready(self) -> Trial | None:
        """Ask the second source: encoders, which come first, are trained one by one."""
        return self._second.ready()

    def left_out_reasons(self) -> list[str]:
        """Say that the search was not begun, and what both left out."""
        blocked = ["the search was left out: an encoder it depends on failed"] if self.blocked else []
        return [*self._first.left_out_reasons(), *self._second.left_out_reasons(), *blocked]

    def replaces(self, trial: Trial) -> int | None:
        """Ask the source that knows the trial."""
        first = self._first.replaces(trial)
        return self._second.replaces(trial) if first is None else first

    def on_epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Ask the source that knows the trial."""
        return self._second.on_epoch(trial, epoch, metrics)

    def on_end(self, trial: Trial, state: State, results: Mapping[str, float]) -> None:
        """Tell both."""
        self.blocked = self.blocked or (trial.kind is Kind.ENCODER and state is State.FAILED)
        self._first.on_end(trial, state, results)
        self._second.on_end(trial, state, results)
