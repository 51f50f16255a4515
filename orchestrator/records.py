"""What goes into the store and comes out: plain frozen records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.trial import State, Trial

ACCURACY = "accuracy"
VALIDATION = (
    "validation"  # the table of trainings without validation classes, and the protocol of their epoch
)
#: the tables of a study whose trials are behind its numbers, not in them
UNFINISHED = ("to run", State.RUNNING, State.INTERRUPTED)  # states of trials that have not ended
ASIDE = ("search", "encoders", VALIDATION)


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """One trial of one cell; a cell that names several trials has several slots.

    ``missing`` says why there is no trial.
    """

    table: str
    row: str
    column: str
    trial: Trial | None
    missing: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: a class (``non_finite``, ``error``, ``out_of_memory``, ``crashed``, ``disk``)."""

    kind: str
    message: str
    traceback: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished attempt measured; accuracies are fractions.

    Attributes:
        results: ``final_accuracy``, ``final_batch_accuracy``, ``final_class_accuracy``,
            ``best_accuracy``, ``best_epoch`` and whatever else the trial measured.
        per_class: protocol -> class id -> (correct, total).
        seconds: training time of all epochs, evaluation included.
    """

    results: Mapping[str, float]
    per_class: Mapping[str, Mapping[int, tuple[int, int]]]
    seconds: float


class Wait:
    """Stands for the next trial or job when there will be one later but none now."""


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
    """Metrics of one finished epoch; ``time`` is Unix seconds at its end."""

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


class CellValue(NamedTuple):
    """One trial of a table cell with what it measured, as the report reads it.

    ``config`` is the flat configuration without seed and data digest, shared by equal ones;
    ``validated`` the accuracy at the epoch that validation classes chose, where a report asked for it.
    """

    table: str
    row: str
    column: str
    missing: str | None
    key: str | None
    seed: int | None
    data_digest: str | None
    config: Mapping[str, Any]
    state: State | None
    attempt_id: int | None
    final: float | None
    best: float | None
    seconds: float | None
    error: str | None
    encoded_results: str | None
    encoded_worker: str | None = None
    validated: float | None = None

    @property
    def source(self) -> str | None:
        """``real`` or ``simulated``."""
        return self.config.get("source")

    @property
    def results(self) -> dict[str, float]:
        """Everything measured; empty unless done."""
        return json.loads(self.encoded_results) if self.encoded_results else {}

    @property
    def device(self) -> str | None:
        """What the attempt ran on, such as a GPU's name; None unless done."""
        return json.loads(self.encoded_worker).get("device") if self.encoded_worker else None

    def value(self, protocol: str, quantity: str = ACCURACY) -> float | None:
        """Return the accuracy under a protocol, ``final``, ``best`` or ``validation``, or another result by name."""
        if quantity != ACCURACY:
            return self.results.get(quantity)
        if protocol == VALIDATION:
            return self.validated
        return self.final if protocol == "final" else self.best


@dataclasses.dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One attempt with everything that explains it; times are Unix seconds."""

    key: str
    seed: int
    split: str
    data_digest: str
    attempt_id: int
    number: int
    state: str
    restarts: int
    started: float
    finished: float | None
    seconds: float | None
    error_kind: str | None
    error: str | None
    provenance: Mapping[str, Any]
    worker: Mapping[str, Any]
    mlflow_run_id: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class StudyInfo:
    """A study as it was swept: the text of its spec, the arguments of the sweep, the last update (Unix seconds)."""

    name: str
    spec: str
    arguments: Mapping[str, Any]
    updated: float


@dataclasses.dataclass(frozen=True, slots=True)
class StudySummary:
    """What a study amounts to, as MLflow shows it.

    Attributes:
        description: Markdown.
        metrics: name -> value: how many trials stand how, and the best cell's mean accuracy.
        files: path below the run's artifacts -> text: the spec, and every table in several formats.
        finished: nothing runs and nothing is left to run.
        ended: Unix seconds at which the last of its attempts ended, 0 without any.
    """

    description: str
    metrics: Mapping[str, float]
    files: Mapping[str, str]
    finished: bool
    ended: float


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """How a study stands.

    Attributes:
        trials: distinct trials.
        counts: state (or ``to run``) -> trials.
        running: (key, printed name, epochs done, epochs, host) of what a driver has in hand now.
        seconds: training time left on one worker, None without like trials.
    """

    trials: int
    counts: Mapping[str, int]
    running: tuple[tuple[str, str, int, int, str], ...]
    seconds: float | None

    @property
    def left(self) -> int:
        """How many trials have not ended."""
        return sum(self.counts.get(state, 0) for state in UNFINISHED)
