"""What goes into the store and comes out: plain frozen records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from orchestrator.trial import State


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A lease on an attempt; ``epoch`` is the last one recorded, ``resumed`` when it went on."""

    attempt_id: int
    number: int
    resumed: bool
    epoch: int
    restarts: int


@dataclasses.dataclass(frozen=True, slots=True)
class EpochRow:
    """Metrics of one epoch; ``time`` is Unix seconds."""

    epoch: int
    time: float
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class TrialStatus:
    """The newest attempt of a trial; RUNNING means that its lease is alive."""

    state: State
    attempt_id: int
    attempts: int
    epoch: int
    owner: str
    error: str
    seconds: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class CellValue:
    """One trial of a table cell with what it measured, as the report reads it."""

    table: str
    row: str
    column: str
    missing: str | None
    key: str | None
    method: str | None
    dataset: str | None
    split: str | None
    visual: str | None
    text: str | None
    seed: int | None
    source: str | None
    config: Mapping[str, Any]
    state: State | None
    attempt_id: int | None
    final: float | None
    best: float | None
    seconds: float | None
    error: str | None
    commit: str | None
    data_digest: str | None
    mlflow_run_id: str | None
    results: Mapping[str, Any]

    def value(self, protocol: str) -> float | None:
        """Return the accuracy under a protocol, ``final`` or ``best``."""
        return self.final if protocol == "final" else self.best
