"""From stored values to a table: mean ± std over seeds, n, the paper beside it. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from orchestrator.store.records import CellValue
from orchestrator.tables import Layout
from orchestrator.trial import text

PROTOCOLS = {
    "final": "protocol final: last epoch, true mean, nothing selected on test data",
    "best": "protocol best: best epoch on the unseen test classes, mean of batch accuracies, as the paper's code",
}
HIDDEN = {"data_digest", "revision", "kind", "needs", "seed"}


@dataclasses.dataclass(frozen=True)
class Number:
    """One cell; accuracies are percentages.

    Attributes:
        mean, std, n: over seeds; None and 0 where nothing was measured. std is None for one seed.
        expected: how many seeds there will be.
        paper: the paper's value as printed, where it may be compared.
        difference: measured minus paper.
        note: a contradiction in the paper. missing: what would fill the cell.
    """

    mean: float | None
    std: float | None
    n: int
    expected: int
    paper: str | None = None
    difference: float | None = None
    note: str | None = None
    missing: str | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """A report: rows and columns hold what varies, the caption what all trials share."""

    title: str
    caption: tuple[str, ...]
    row_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: dict[tuple[str, str], Number]
    simulated: bool


def build_table(
    values: Sequence[CellValue], *, protocol: str, study: str, layout: Layout | None = None
) -> Table:
    """Pivot a table's or grid's stored values.

    Args:
        values: from :meth:`orchestrator.store.Store.cells`.
        protocol: ``final`` or ``best``.
        layout: the paper's table; without it the paper is not mentioned.
    """
    rows = tuple(dict.fromkeys(v.row for v in values))
    columns = tuple(dict.fromkeys(v.column for v in values))
    simulated = any(v.source == "simulated" for v in values)
    paper = layout.paper() if layout else {}
    numbers = {}
    for row in rows:
        for column in columns:
            cell = [v for v in values if v.row == row and v.column == column]
            printed = paper.get((row, column))
            number = _number(cell, protocol)
            if printed is not None:
                shown = None if simulated else printed.printed or f"{printed.paper:.2f}"
                measured = number.mean is not None and not simulated
                difference = number.mean - printed.paper if measured and number.mean is not None else None
                number = dataclasses.replace(number, paper=shown, difference=difference, note=printed.note)
            numbers[row, column] = number
    caption = [PROTOCOLS[protocol], f"study {study}; accuracy in %, mean ± standard deviation over n seeds"]
    if simulated:
        caption.insert(
            0,
            "SIMULATED data: these numbers say nothing about the real data set and are not comparable with the paper",
        )
    shared = _shared(values)
    if shared:
        caption.append("all trials: " + ", ".join(f"{k} {text(v)}" for k, v in shared.items()))
    if layout and layout.note:
        caption.append(layout.note)
    caption += [f"{r}, {c}: {n.note}" for (r, c), n in numbers.items() if n.note]
    for missing in dict.fromkeys(n.missing for n in numbers.values() if n.missing):
        caption.append(f"—: {missing}")
    title = f"{layout.name.replace('table', 'Table ')}: {layout.title}" if layout else f"Study {study}"
    return Table(
        title + (" (simulated)" if simulated else ""), tuple(caption), "", rows, columns, numbers, simulated
    )


def pivot(
    values: Sequence[CellValue], rows: str, columns: Sequence[str], *, protocol: str, study: str
) -> Table:
    """Pivot by configuration names: one row a value of ``rows``, one column a combination of ``columns``."""
    relabelled = [
        dataclasses.replace(
            v,
            row=text(v.config.get(rows)),
            column=" ".join(text(v.config.get(c)) for c in columns) or "accuracy",
        )
        for v in values
        if v.key
    ]
    unique = list({(v.row, v.column, v.key): v for v in relabelled}.values())
    table = build_table(unique, protocol=protocol, study=study)
    return dataclasses.replace(table, row_name=rows)


def _number(cell: Sequence[CellValue], protocol: str) -> Number:
    missing = next((v.missing for v in cell if v.missing), None)
    by_seed: dict[Any, list[CellValue]] = {}
    for value in cell:
        if value.key is not None:
            by_seed.setdefault(value.seed, []).append(value)
    means = []
    for group in by_seed.values():
        measured = [100 * x for v in group if (x := v.value(protocol)) is not None]
        # an average over splits counts only when every split is there
        if len(measured) == len(group):
            means.append(statistics.fmean(measured))
    if not means:
        failed = next((v.error for v in cell if v.error), None)
        reason = missing or (f"failed: {failed}" if failed else "not run yet: dvta-orch sweep fills it")
        return Number(None, None, 0, len(by_seed), missing=reason)
    std = statistics.stdev(means) if len(means) > 1 else None
    return Number(statistics.fmean(means), std, len(means), len(by_seed))


def _shared(values: Sequence[CellValue]) -> dict[str, Any]:
    """Return what every trial has in common, without what has no effect."""
    configs = [v.config for v in values if v.key]
    if not configs:
        return {}
    names = [n for n in configs[0] if n not in HIDDEN]
    return {
        n: configs[0][n]
        for n in names
        if configs[0][n] is not None and all(c.get(n) == configs[0][n] for c in configs)
    }
