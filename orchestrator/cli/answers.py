"""What commands print with ``--json``: one record each.

``docs/schemas`` holds their JSON Schemas. A field may be added; none is taken away or changes its meaning.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from orchestrator.report.number import Number
from orchestrator.trial import Scalar


@dataclasses.dataclass(frozen=True)
class Missing:
    """Cells that cannot be filled, and why."""

    reason: str
    cells: int


@dataclasses.dataclass(frozen=True)
class Search:
    """The search of a study: candidates in each cell, how often it is repeated, trials at most."""

    candidates: int
    sampler: str
    objective: str
    repeats: int
    most_trials: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep would do; ``seconds`` is training time on one worker, null where no like trial ran.

    ``simulated_trials`` of its trials read simulated features.
    ``stacked`` is how many of those to run one worker would train in stacks, null where a search proposes them.
    """

    study: str
    cells: int
    trials: int
    seeds: int
    to_run: int
    encoders: int
    done: int
    failed: int
    leased: int
    seconds: float | None
    simulated: bool
    simulated_trials: int
    missing: tuple[Missing, ...]
    search: Search | None
    stacked: int | None


@dataclasses.dataclass(frozen=True)
class Running:
    """A trial that a driver has in hand."""

    key: str
    trial: str
    epoch: int
    epochs: int
    host: str


@dataclasses.dataclass(frozen=True)
class StudyStatus:
    """How a study stands: trials by state; ``seconds_left`` on one worker, null where no like trial ran."""

    study: str
    trials: int
    counts: dict[str, int]
    seconds_left: float | None
    running: tuple[Running, ...]


@dataclasses.dataclass(frozen=True)
class Status:
    """All studies, the newest first."""

    studies: tuple[StudyStatus, ...]


@dataclasses.dataclass(frozen=True)
class ListedTrial:
    """One trial of a list. Accuracies are fractions, of the classes that ``measured_on`` names."""

    key: str
    trial: str
    state: str
    final: float | None
    best: float | None
    measured_on: str
    seconds: float | None
    error: str | None
    config: dict[str, Scalar]


@dataclasses.dataclass(frozen=True)
class Trials:
    """The newest of the ``total`` trials that fit."""

    total: int
    trials: tuple[ListedTrial, ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """A cell that a trial fills."""

    study: str
    table: str
    row: str
    column: str


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One run of a trial; times are Unix seconds, ``log`` is a file on ``host``."""

    number: int
    state: str
    host: str | None
    device: str | None
    started: float
    finished: float | None
    seconds: float | None
    restarts: int
    commit: str | None
    mlflow_run: str | None
    error_kind: str | None
    error: str | None
    traceback: str | None
    log: str | None


@dataclasses.dataclass(frozen=True)
class Epoch:
    """Metrics of an epoch."""

    epoch: int
    metrics: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class ClassCount:
    """Test samples of a class, and how many were recognised, under ``final`` and ``best``."""

    protocol: str
    class_id: int
    name: str | None
    correct: int
    total: int


@dataclasses.dataclass(frozen=True)
class Show:
    """Everything about one trial. Accuracies are fractions; epochs and classes are the newest attempt's."""

    key: str
    trial: str
    state: str
    seed: int | None
    final: float | None
    best: float | None
    measured_on: str
    seconds: float | None
    data_digest: str | None
    config: dict[str, Scalar]
    cells: tuple[Place, ...]
    attempts: tuple[Attempt, ...]
    epochs: tuple[Epoch, ...]
    classes: tuple[ClassCount, ...]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    text: str


@dataclasses.dataclass(frozen=True)
class Doctor:
    """What is wrong with the surroundings; ``good`` where nothing is."""

    good: bool
    findings: tuple[Finding, ...]


@dataclasses.dataclass(frozen=True)
class Phrase:
    """A phrase with its score and its share among those that were given."""

    phrase: str
    score: float
    probability: float


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Phrases by how well a motion fits them, the best first; ``samples`` were averaged.

    With ``--reject`` shares are calibrated by ``temperature``, and ``answer`` is the best phrase or none of these.
    """

    file: str
    trial: str
    source: str
    samples: int
    weights: str
    ranking: tuple[Phrase, ...]
    answer: str | None
    temperature: float | None


@dataclasses.dataclass(frozen=True)
class DataList:
    """What the data root has, a line each, and where to get what it lacks."""

    root: str
    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class CheckedFolder:
    """A folder, description or id of texts that was checked: ``good``, ``wrong`` or ``not checked``, and why."""

    path: str
    state: str
    why: str | None


@dataclasses.dataclass(frozen=True)
class DataCheck:
    """Every feature folder, description, text and prepared skeleton of the data root."""

    root: str
    checked: int
    wrong: int
    features: tuple[CheckedFolder, ...]
    texts: tuple[CheckedFolder, ...]
    skeletons: tuple[CheckedFolder, ...]


@dataclasses.dataclass(frozen=True)
class DbCheck:
    """What is in the store."""

    store: str
    schema: str
    studies: int
    trials: int


@dataclasses.dataclass(frozen=True)
class ExportedTable:
    """A file of ``db export``."""

    file: str
    rows: int


@dataclasses.dataclass(frozen=True)
class DbExport:
    """The files that were written."""

    files: tuple[ExportedTable, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportCell(Number):
    """A number of a table with its place, in the unit shown; accuracies are percentages."""

    row: str
    column: str


@dataclasses.dataclass(frozen=True)
class Report:
    """A table of results."""

    title: str
    caption: tuple[str, ...]
    simulated: bool
    cells: tuple[ReportCell, ...]


#: the words of a command -> what it prints with ``--json``
ANSWERS: dict[str, Any] = {
    "data check": DataCheck,
    "data list": DataList,
    "db check": DbCheck,
    "db export": DbExport,
    "doctor": Doctor,
    "plan": Plan,
    "predict": Prediction,
    "query": list[dict[str, Any]],
    "report": Report,
    "show": Show,
    "status": Status,
    "trials": Trials,
}


def schema(command: str) -> dict[str, Any]:
    """Return the JSON Schema of what a command prints; an object has the fields it names and no others."""
    from pydantic import TypeAdapter

    made: dict[str, Any] = TypeAdapter(ANSWERS[command]).json_schema(mode="serialization")
    for found in (made, *made.get("$defs", {}).values()):
        if "properties" in found:
            found["additionalProperties"] = False
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"dvta-orch {command} --json",
    }
    return {**made, **about}
