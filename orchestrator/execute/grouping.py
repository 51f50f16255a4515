"""Which trials one worker trains together: those that differ only in values, where stacking them pays."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import logging
import math
import os
from collections.abc import Hashable, Iterable, Mapping

from dvta.facts import METHODS
from dvta.facts.stacking import pays, stack_key
from dvta.training_config import TrainingConfig
from orchestrator.execute.sources import TrialSource
from orchestrator.records import Wait
from orchestrator.trial import Kind, Trial

log = logging.getLogger(__name__)

LARGEST = 20  # what ``auto`` stacks at most: as many as were measured
LOOKAHEAD = 1000  # trials that are looked through for those to stack
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # CUDA on Linux and on WSL, ROCm
#: fields that may differ, as far as dvta.facts.stacking.stack_key allows
VALUES = ("seed", "options", "training")


class Grouping:
    """Makes pieces of work, for one worker each, of a source's trials.

    Args:
        stack: how many trials train as one model: ``auto`` where it pays, ``off`` never, or up to a number.
    """

    def __init__(self, source: TrialSource, stack: int | str) -> None:
        self._source, self._stack = source, stack
        self._passed: collections.deque[Trial] = collections.deque()  # taken from the source, not handed out
        self._keys: dict[str, int | None] = {}
        self._numbers: dict[Hashable, int] = {}

    def next(self, workers: int, device: str) -> tuple[Trial, ...] | Wait | None:
        """Return the next trial with those to train beside it, ``Wait``, or None at the end.

        Only what is there now is grouped; nothing is waited for. ``auto`` leaves the other workers their share.
        """
        first = self._passed.popleft() if self._passed else self._source.next()
        if not isinstance(first, Trial):
            return first
        most = largest(first, self._stack, device)
        key = self._key(first) if most > 1 else None
        self._keys.pop(first.key, None)
        if key is None:
            return (first,)
        shared_by = workers if self._stack == "auto" else 1
        fellows = self._fellows(key, most * shared_by - 1)
        size = min(most, math.ceil((len(fellows) + 1) / shared_by)) - 1
        self._passed.extendleft(reversed(fellows[size:]))
        for trial in fellows[:size]:
            del self._keys[trial.key]
        return (first, *fellows[:size])

    def _fellows(self, key: int, wanted: int) -> list[Trial]:
        """Take up to ``wanted`` trials that can be stacked with those of a key."""
        found: list[Trial] = []
        others: collections.deque[Trial] = collections.deque()
        for _ in range(LOOKAHEAD):
            trial = self._passed.popleft() if self._passed else self._source.ready()
            if trial is None:
                break
            (found if self._key(trial) == key else others).append(trial)
            if len(found) >= wanted:
                break
        others.extend(self._passed)
        self._passed = others
        return found

    def _key(self, trial: Trial) -> int | None:
        """Return a number that trials have in common which can be stacked, None for one that cannot be."""
        if trial.key not in self._keys:
            key = group_key(trial)
            number = None if key is None else self._numbers.setdefault(key, len(self._numbers))
            self._keys[trial.key] = number
        return self._keys[trial.key]


def group_key(trial: Trial) -> Hashable | None:
    """Return what trials must have in common to train as one model, None for one that trains by itself."""
    if trial.kind is not Kind.ALIGNMENT or "train" in trial.training:
        return None
    options = {name: value for name, value in trial.options.items() if value is not None}
    try:
        method = METHODS.facts(trial.method)
        settings = TrainingConfig(**trial.training)  # type: ignore[arg-type]
        alike = stack_key(method, method.options_class.resolve(options), settings)
    except Exception as error:  # of a user's method: its attempt will say so
        log.warning("%s is not stacked: %s", trial.method, error)
        return None
    if alike is None:
        return None
    fields = (getattr(trial, f.name) for f in dataclasses.fields(trial) if f.name not in VALUES)
    return alike, *(tuple(sorted(f.items())) if isinstance(f, Mapping) else f for f in fields)


def largest(trial: Trial, stack: int | str, device: str) -> int:
    """Return how many trials like this one are stacked at most, 1 where none are."""
    if isinstance(stack, int):
        return stack
    return LARGEST if stack == "auto" and pays(trial.method, device) else 1


def count_stacked(trials: Iterable[Trial], stack: int | str, device: str) -> int:
    """Return how many trials train in stacks where one worker has them all."""
    sizes: collections.Counter[tuple[Hashable, int]] = collections.Counter()
    for trial in trials:
        most = largest(trial, stack, device)
        if most > 1 and (key := group_key(trial)) is not None:
            sizes[key, most] += 1
    pieces = itertools.chain.from_iterable(
        [most] * (count // most) + [count % most] for (_, most), count in sizes.items()
    )
    return sum(size for size in pieces if size > 1)


def device_type(gpus_per_trial: float | str) -> str:
    """Return on what type of device trials that ask for so many GPUs train."""
    return "cuda" if gpus_per_trial or _is_cuda_here() else "cpu"


def _is_cuda_here() -> bool:
    """Ask PyTorch only where there is a driver: importing it takes longer than all else of an empty sweep."""
    if not any(os.path.exists(device) for device in DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()
