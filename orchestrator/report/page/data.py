"""What the page of a study shows, as plain data that becomes compact JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from orchestrator.records import AttemptInfo, CellValue, Standing
from orchestrator.report.number import Number
from orchestrator.report.protocols import BOTH
from orchestrator.report.render import render
from orchestrator.report.summary import SEARCH, layout_of
from orchestrator.report.table import Table, build_table, group
from orchestrator.store import Store
from orchestrator.trial import Kind, varying

PROTOCOLS = ("final", "best")
METRICS = ("loss", "accuracy")
FILES = ("csv", "md", "latex")
#: points of a curve: all of them together stay under a limit
MOST_POINTS, FEWEST_POINTS, ALL_POINTS = 200, 30, 200_000
MOST_FAILURES, TRACEBACK_CHARACTERS = 200, 8000


@dataclasses.dataclass(frozen=True)
class StudyData:
    """Everything the page holds but its pictures.

    Attributes:
        content: JSON-ready; tables refer to trials, trials to configurations and attempts, by index.
        tables: the number of tables. finished: nothing runs and nothing is left to run.
    """

    name: str
    content: dict[str, Any]
    tables: int
    finished: bool
    simulated: bool


def collect(store: Store, study: str | None, local_mlflow: str) -> StudyData:
    """Read a study from the store.

    Args:
        study: its name, by default the newest.
        local_mlflow: the address where runs are seen that no server has, such as ``dvta-orch ui``'s.

    Raises:
        StoreError: there is no such study.
    """
    study_id, name = store.find_study(study)
    values = store.cells(study_id)
    standing = store.standing(study_id)
    trials = list({v.key: v for v in values if v.key}.values())
    place = {v.key: i for i, v in enumerate(trials)}
    tables = [which for which in dict.fromkeys(v.table for v in values) if which != SEARCH]
    attempts = store.attempts([v.key for v in trials if v.key])
    simulated = any(v.source == "simulated" for v in trials)
    about = _about(store, study_id, name, standing, values)
    content = {
        "about": {**about, "simulated": simulated},
        "tables": [_table(which, [v for v in values if v.table == which], name, place) for which in tables],
        "search": _search([v for v in values if v.table == SEARCH], place),
        **_trials(trials, store.names([v.key for v in trials if v.key])),
        "curves": _curves(store, trials),
        **_attempts(store, attempts, place, local_mlflow),
    }
    return StudyData(name, content, len(tables), bool(about["finished"]), simulated)


def _about(
    store: Store, study_id: int, name: str, standing: Standing, values: Sequence[CellValue]
) -> dict[str, Any]:
    record = store.study(study_id)
    missing: dict[str, int] = {}
    for reason in {(v.table, v.row, v.column): v.missing for v in values if v.missing}.values():
        missing[reason] = missing.get(reason, 0) + 1
    counts = {str(state): n for state, n in standing.counts.items()}
    return {
        "name": name,
        "description": (yaml.safe_load(record.spec) or {}).get("description", ""),
        "spec": record.spec,
        "arguments": record.arguments,
        "updated": _time(record.updated),
        "written": _time(datetime.datetime.now(datetime.UTC).timestamp()),
        "trials": standing.trials,
        "counts": counts,
        "finished": standing.left == 0,
        "left": standing.left,
        "secondsLeft": standing.seconds if standing.left else 0,
        "running": [list(row[1:]) for row in standing.running],
        "missing": [[reason, n] for reason, n in missing.items()],
    }


def _table(
    which: str, values: list[CellValue], study: str, place: Mapping[str | None, int]
) -> dict[str, Any]:
    shape = layout_of(which)
    built = {p: build_table(values, protocol=p, study=study, layout=shape) for p in PROTOCOLS}
    both = build_table(values, protocol=BOTH, study=study, layout=shape)
    table = built["final"]
    return {
        "id": which,
        "title": table.title,
        "simulated": table.simulated,
        "captions": {p: list(t.caption) for p, t in built.items()},
        "rows": list(table.rows),
        "columns": list(table.columns),
        # costs have no best that a reader would look for
        "ranked": [all(table.numbers[r, c].scale == 100 for r in table.rows) for c in table.columns],
        "cells": [[_cell(built, (row, column), place) for column in table.columns] for row in table.rows],
        "files": {p: {f: render(t, f) for f in FILES} for p, t in {**built, BOTH: both}.items()},
    }


def _cell(
    built: Mapping[str, Table], where: tuple[str, str], place: Mapping[str | None, int]
) -> dict[str, Any]:
    first = built["final"].numbers[where]
    trials = [place[v.key] for v in built["final"].cells.get(where, []) if v.key]
    cell: dict[str, Any] = {p: _number(built[p].numbers[where]) for p in PROTOCOLS}
    extra = {"paper": first.paper, "note": first.note, "missing": first.missing, "trials": trials}
    return {**cell, **{name: value for name, value in extra.items() if value}}


def _number(number: Number) -> list[Any] | None:
    """Return mean, standard deviation, n, expected n, and the difference to the paper."""
    if number.mean is None:
        return None
    shown = (number.mean, number.std, number.n, number.expected, number.difference)
    return [round(x, 4) if isinstance(x, float) else x for x in shown]


def _trials(trials: Sequence[CellValue], names: Mapping[str, str]) -> dict[str, Any]:
    configs: dict[int, int] = {}
    listed: list[Mapping[str, Any]] = []
    for v in trials:
        # equal configurations are one object
        if id(v.config) not in configs:
            configs[id(v.config)] = len(listed)
            listed.append(v.config)
    digests = list(dict.fromkeys(v.data_digest for v in trials))
    return {
        "configs": listed,
        "digests": digests,
        "trials": [
            {
                "key": v.key,
                "name": names[v.key or ""],
                "config": configs[id(v.config)],
                "seed": v.seed,
                "digest": digests.index(v.data_digest),
                "state": str(v.state) if v.state else "to run",
                "final": _percent(v.final),
                "best": _percent(v.best),
                "seconds": None if v.seconds is None else round(v.seconds, 1),
            }
            for v in trials
        ],
    }


def _search(values: Sequence[CellValue], place: Mapping[str | None, int]) -> list[dict[str, Any]]:
    """Return every searched cell: its candidates, the best of them, and the names that they vary."""
    found = []
    for (cell, measured), candidates in group(values).items():
        done = [v for v in candidates if v.final is not None]
        best = max(done, key=lambda v: v.final or 0.0, default=None)
        names = varying([v.config for v in candidates], {"revision", "depends_on"})
        found.append(
            {
                "cell": cell,
                "measured": measured,
                "trials": [place[v.key] for v in candidates],
                "done": len(done),
                "best": best and place[best.key],
                "names": list(names),
            }
        )
    return found


def _percent(accuracy: float | None) -> float | None:
    return None if accuracy is None else round(100 * accuracy, 4)


def _curves(store: Store, trials: Sequence[CellValue]) -> dict[str, Any]:
    """Return the thinned curves: index of a trial -> [epochs, values of each of :data:`METRICS`]."""
    most = max(FEWEST_POINTS, min(MOST_POINTS, ALL_POINTS // max(1, len(trials))))
    found = store.curves([v.attempt_id for v in trials if v.attempt_id is not None], METRICS)
    curves: dict[str, Any] = {}
    shared: dict[tuple[int, ...], int] = {}
    for i, v in enumerate(trials):
        metrics = found.get(v.attempt_id or 0)
        if not metrics or v.config.get("kind") != Kind.ALIGNMENT:
            continue
        epochs = thin(sorted({epoch for points in metrics.values() for epoch, _ in points}), most)
        values = []
        for name in METRICS:
            at = dict(metrics.get(name, []))
            scale = 100 if name == "accuracy" else 1
            # a loss that is no number any more leaves a gap
            values.append([_short(scale * at[e]) if e in at else None for e in epochs])
        curves[str(i)] = [shared.setdefault(tuple(epochs), len(shared)), *values]
    return {"metrics": list(METRICS), "epochs": [list(e) for e in shared], "of": curves}


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def thin(epochs: Sequence[int], most: int) -> list[int]:
    """Return at most ``most`` epochs, evenly spaced, the first and the last among them."""
    if len(epochs) <= most:
        return list(epochs)
    step = (len(epochs) - 1) / (most - 1)
    return [epochs[round(i * step)] for i in range(most)]


def _attempts(
    store: Store, attempts: Sequence[AttemptInfo], place: Mapping[str | None, int], local_mlflow: str
) -> dict[str, Any]:
    provenance: dict[str, int] = {}
    rows: dict[str, list[list[Any]]] = {}
    for a in attempts:
        about = json.dumps({**a.provenance, **{n: a.worker[n] for n in _WORKER if n in a.worker}})
        rows.setdefault(str(place[a.key]), []).append(
            [
                a.number, a.state, _time(a.started), None if a.seconds is None else round(a.seconds, 1),
                a.restarts, a.error_kind, a.error, a.mlflow_run_id, provenance.setdefault(about, len(provenance)),
            ]
        )  # fmt: skip
    failed = [a for a in attempts if a.error_kind is not None]
    tracebacks = store.tracebacks([a.attempt_id for a in failed[:MOST_FAILURES]])
    return {
        "attempts": rows,
        "provenance": [json.loads(about) for about in provenance],
        "mlflow": local_mlflow,
        "failures": [
            {
                "trial": place[a.key],
                "attempt": a.number,
                "kind": a.error_kind,
                "error": a.error,
                "host": a.worker.get("host") or a.provenance.get("host"),
                "traceback": (tracebacks.get(a.attempt_id) or "")[-TRACEBACK_CHARACTERS:],
            }
            for a in failed[:MOST_FAILURES]
        ],
        "failed": len(failed),
    }


_WORKER = ("device", "precision", "threads")


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
