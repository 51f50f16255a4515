"""Behind a number: the trials, attempts, commits, data digests and MLflow runs it is made of."""

from __future__ import annotations

import datetime

from orchestrator.report.number import Number, measure
from orchestrator.report.table import Table, choose
from orchestrator.store import AttemptInfo, Store
from orchestrator.tables import repeat_of


def explain(store: Store, table: Table, row: str, column: str, protocol: str) -> list[str]:
    """Return the lines that trace one cell.

    Raises:
        SettingsError: the table has no such row or column.
    """
    row, column = choose("ROW", row, table.rows), choose("COL", column, table.columns)
    number = table.numbers[row, column]
    cell = table.cells.get((row, column), [])
    lines = [f"{table.title}: {row}, {column}"]
    if number.mean is None:
        lines.append(f"no number: {number.missing}")
    else:
        spread = "" if number.std is None else f" ± {number.std:.4f}"
        runs = "repeats of the search" if any(repeat_of(v.row) for v in cell) else "seeds"
        of = [f"{number.n} of {number.expected} {runs}"]
        if number.split_std is not None:
            of.append(f"{number.splits} splits (± {number.split_std:.4f} between them)")
        lines.append(f"{number.mean:.4f}{spread} over {', '.join(of)}{_accuracy(number)}")
    if number.paper is not None:
        lines.append(f"the paper prints {number.paper}")
    attempts: dict[str, list[AttemptInfo]] = {}
    for attempt in store.attempts([v.key for v in cell if v.key]):
        attempts.setdefault(attempt.key, []).append(attempt)
    names = store.names([v.key for v in cell if v.key])
    for value in cell:
        if value.key is None:
            continue
        measured = measure(value, number.protocol or protocol, number.quantity)
        unit = " %" if number.scale == 100 else ""
        shown = value.state or "not run" if measured is None else f"{number.scale * measured:.4f}{unit}"
        digest = f"data {value.source}, digest {value.data_digest}"
        lines.append(f"trial {value.key[:16]}  {names[value.key]}: {shown}; {digest}")
        lines += [_attempt(a, counts=a.attempt_id == value.attempt_id) for a in attempts.get(value.key, [])]
    return lines


def _accuracy(number: Number) -> str:
    if number.protocol is None:
        return ""
    return f", protocol {number.protocol}, on {number.measured_on}"


def _attempt(attempt: AttemptInfo, *, counts: bool) -> str:
    started = datetime.datetime.fromtimestamp(attempt.started, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    took = "" if attempt.seconds is None else f", {attempt.seconds:.1f} s of training"
    again = f", went on {attempt.restarts} times" if attempt.restarts else ""
    error = f", {attempt.error_kind}: {attempt.error}" if attempt.error_kind else ""
    about = attempt.provenance
    parts = [
        f"commit {about.get('git_commit', 'unknown')}",
        f"torch {about.get('torch', 'unknown')}",
        f"device {attempt.worker.get('device', 'unknown')} on {attempt.worker.get('host', 'unknown')}",
        f"MLflow run {attempt.mlflow_run_id or 'not mirrored'}",
    ]
    mark = "  <- this number" if counts else ""
    return (
        f"  attempt {attempt.number}: {attempt.state}, started {started}{took}{again}{error}; "
        + ", ".join(parts)
        + mark
    )
