"""From stored values to a table: mean ± std over seeds, n, the paper beside it. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.records import ACCURACY, CellValue
from orchestrator.report.compare import Comparison, compare
from orchestrator.tables import GENERALISED, Layout
from orchestrator.trial import format_value, varying

PROTOCOLS = {
    "final": "protocol final: last epoch, true mean, nothing selected on test data",
    "best": "protocol best: best epoch on the unseen test classes, mean of batch accuracies, as the paper's code",
}
HIDDEN = {"revision", "kind", "depends_on"}
NEVER_AVERAGED = ("source", "evaluate_on")  # trials that differ in it have no mean
HARMONIC = GENERALISED["harmonic mean"]
RowColumn = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Number:
    """One cell, in the unit shown; accuracies are percentages.

    Attributes:
        mean, std, n: over seeds; None and 0 where nothing was measured. std is None for one seed.
        expected: how many seeds there will be.
        paper: the paper's value as printed, where it may be compared.
        difference: measured minus paper.
        note: a contradiction in the paper. missing: why there is no number, or what would fill the cell.
        paired: against the chosen row: mean difference, pairs, and a p-value from 6 pairs.
        quantity: what is shown of a trial, ``accuracy`` or the name of another result; ``scale``
            turns the stored value into the shown one.
    """

    mean: float | None
    std: float | None
    n: int
    expected: int
    paper: str | None = None
    difference: float | None = None
    note: str | None = None
    missing: str | None = None
    paired: Comparison | None = None
    quantity: str = ACCURACY
    scale: float = 100.0


@dataclasses.dataclass(frozen=True)
class Table:
    """A report: rows and columns hold what varies, the caption what all trials share.

    Attributes:
        cells: the trials behind every number, in the order they were stored.
    """

    title: str
    caption: tuple[str, ...]
    row_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: dict[RowColumn, Number]
    cells: Mapping[RowColumn, Sequence[CellValue]]
    simulated: bool


def build_table(
    values: Sequence[CellValue],
    *,
    by: Callable[[CellValue], RowColumn] | None = None,
    protocol: str,
    study: str,
    layout: Layout | None = None,
    against: str | None = None,
) -> Table:
    """Pivot a table's or grid's stored values.

    Args:
        values: from :meth:`orchestrator.store.Store.cells`.
        by: row and column label of a value; without it, those of its cell.
        protocol: ``final`` or ``best``.
        layout: the paper's table; without it the paper is not mentioned.
        against: a row (or a part of its name) every other row is compared with, trial by trial.

    Raises:
        SettingsError: there is no row ``against``.
    """
    cells = group(values, by)
    rows = tuple(dict.fromkeys(r for r, _ in cells))
    columns = tuple(dict.fromkeys(c for _, c in cells))
    simulated = any(v.source == "simulated" for v in values)
    quantity = _by_column if by is None else _by_trials
    numbers = {
        (row, column): _placed(cells.get((row, column), []), (row, column), protocol, layout, quantity)
        for row in rows
        for column in columns
    }
    caption = []
    if simulated:
        caption.append(
            "SIMULATED data: these numbers say nothing about the real data set and are not comparable with the paper"
        )
    caption += [PROTOCOLS[protocol], f"study {study}; accuracy in %, mean ± standard deviation over n seeds"]
    if any(v.config.get("evaluate_on") == "validation" for v in values):
        caption.append("accuracy on validation classes held out of the seen ones")
    shared = _shared(values)
    if shared:
        caption.append("all trials: " + ", ".join(f"{k} {format_value(v)}" for k, v in shared.items()))
    if against is not None:
        numbers, lines = _compared(cells, numbers, choose("--compare ROW", against, rows), protocol)
        caption += lines
    if layout and layout.note:
        caption.append(layout.note)
    caption += [f"{r}, {c}: {n.note}" for (r, c), n in numbers.items() if n.note]
    for missing in dict.fromkeys(n.missing for n in numbers.values() if n.missing):
        caption.append(f"—: {missing}")
    if any(v.config.get("evaluate_on") == "gzsl" for v in values):
        caption.append("generalised: a gate fitted on validation classes chooses between seen and unseen")
    title = f"{layout.name.replace('table', 'Table ')}: {layout.title}" if layout else f"Study {study}"
    return Table(
        title + (" (simulated)" if simulated else ""),
        tuple(caption),
        "",
        rows,
        columns,
        numbers,
        cells,
        simulated,
    )


def pivot(
    values: Sequence[CellValue],
    rows: str,
    columns: Sequence[str],
    *,
    protocol: str,
    study: str,
    against: str | None = None,
) -> Table:
    """Pivot by configuration names: one row a value of ``rows``, one column a combination of ``columns``.

    Counts the methods' trainings, not a search's candidates, encoders or measurements of cost;
    shows the accuracy, of generalised trials the harmonic mean.

    Raises:
        SettingsError: there are no such trials, none has one of the names, or there is no row
            ``against``.
    """
    unique = list(
        {v.key: v for v in values if v.table != "search" and v.config.get("kind") == "alignment"}.values()
    )
    if not unique:
        raise SettingsError(f"study {study!r} has no trained methods to pivot")
    _check_names([rows, *columns], unique)
    labels: dict[tuple[int, int | None], RowColumn] = {}

    def label(value: CellValue) -> RowColumn:
        # equal configurations are one object
        known = (id(value.config), value.seed)
        if known not in labels:
            config = {**value.config, "seed": value.seed}
            labels[known] = (
                format_value(config.get(rows)),
                " ".join(format_value(config.get(c)) for c in columns) or ACCURACY,
            )
        return labels[known]

    table = build_table(unique, by=label, protocol=protocol, study=study, against=against)
    caption = list(table.caption)
    if any(n.quantity == HARMONIC for n in table.numbers.values()):
        caption.append(
            "of generalised trials: the harmonic mean of the accuracies on seen and unseen classes"
        )
    averaged = _averaged(unique, label)
    if averaged:
        caption.append(f"averaged over {', '.join(averaged)}")
    return dataclasses.replace(table, row_name=rows, caption=tuple(caption))


def _check_names(names: Sequence[str], values: Sequence[CellValue]) -> None:
    # equal configurations are one object
    configs = {id(v.config): v.config for v in values}.values()
    known = sorted({n for config in configs for n in config} | {"seed"})
    for name in names:
        if name not in known:
            raise SettingsError(
                f"{name!r} is unknown{did_you_mean(name, known)}; allowed: {', '.join(known)}"
            )


def _averaged(values: Sequence[CellValue], by: Callable[[CellValue], RowColumn]) -> list[str]:
    """Return the names, sorted, in which trials of one cell and seed differ: what a pivot hides."""
    # equal configurations are one object
    mixed: dict[tuple[RowColumn, int | None], dict[int, Mapping[str, Any]]] = {}
    for value in values:
        mixed.setdefault((by(value), value.seed), {})[id(value.config)] = value.config
    names: set[str] = set()
    for configs in mixed.values():
        if len(configs) > 1:
            names.update(varying(list(configs.values()), without={"data_digest", "revision"}))
    return sorted("the encoder's training" if n == "depends_on" else n for n in names)


def group(
    values: Sequence[CellValue], by: Callable[[CellValue], RowColumn] | None = None
) -> dict[RowColumn, list[CellValue]]:
    """Return the values of every (row, column), in the order they were stored."""
    cells: dict[RowColumn, list[CellValue]] = {}
    for value in values:
        cells.setdefault(by(value) if by else (value.row, value.column), []).append(value)
    return cells


def choose(kind: str, given: str, names: Sequence[str]) -> str:
    """Return the name a person means: the whole of it, or a part that only one has.

    Raises:
        SettingsError: none or several fit.
    """
    if given in names:
        return given
    near = [n for n in names if given.casefold() in n.casefold()]
    if len(near) == 1:
        return near[0]
    raise SettingsError(
        f"{kind}: {given!r} names {len(near)} of the table's{did_you_mean(given, names)}; "
        f"allowed: {', '.join(map(repr, names))}"
    )


def _by_column(cell: Sequence[CellValue], column: str) -> str:
    """Return the result a grid's column shows."""
    return GENERALISED.get(column, ACCURACY)


def _by_trials(cell: Sequence[CellValue], column: str) -> str:
    """Return the result of its trials that a pivot shows."""
    return HARMONIC if any(v.config.get("evaluate_on") == "gzsl" for v in cell) else ACCURACY


def _placed(
    cell: Sequence[CellValue],
    place: RowColumn,
    protocol: str,
    layout: Layout | None,
    quantity: Callable[[Sequence[CellValue], str], str],
) -> Number:
    """Return the number of a cell with what the paper has there; without the paper, a ``quantity``."""
    printed = layout.cell(*place) if layout else None
    if printed is None:
        return _number(cell, protocol, quantity(cell, place[1]), 100.0)
    number = _number(cell, protocol, printed.quantity, printed.scale)
    simulated = any(v.source == "simulated" for v in cell)
    value = None if simulated or printed.paper is None else printed.paper
    shown = None if value is None else printed.printed or f"{value:.2f}"
    comparable = value is not None and number.mean is not None and printed.comparable
    difference = number.mean - value if comparable else None  # type: ignore[operator]
    return dataclasses.replace(number, paper=shown, difference=difference, note=printed.note)


def _number(cell: Sequence[CellValue], protocol: str, quantity: str, scale: float) -> Number:
    reason = next((v.missing for v in cell if v.missing), None) or _mixed(cell)
    by_seed: dict[Any, list[CellValue]] = {}
    for value in cell:
        if value.key is not None:
            by_seed.setdefault(value.seed, []).append(value)
    means = []
    for trials in by_seed.values() if reason is None else ():
        found = (v.value(protocol, quantity) for v in trials)
        measured = [scale * x for x in found if x is not None]
        # an average over splits counts only when every split is there
        if len(measured) == len(trials):
            means.append(statistics.fmean(measured))
    if not means:
        failed = next((v.error for v in cell if v.error), None)
        unfilled = "not run yet: dvta-orch sweep fills it" if cell else "not part of this study"
        reason = reason or (f"failed: {failed}" if failed else unfilled)
        return Number(None, None, 0, len(by_seed), missing=reason, quantity=quantity, scale=scale)
    std = statistics.stdev(means) if len(means) > 1 else None
    mean = statistics.fmean(means)
    return Number(mean, std, len(means), len(by_seed), quantity=quantity, scale=scale)


def _mixed(cell: Sequence[CellValue]) -> str | None:
    """Return why the trials of a cell have no mean, or None."""
    for name in NEVER_AVERAGED:
        found = {v.config.get(name) for v in cell if v.key}
        if len(found) > 1:
            return (
                f"trials of {name} {' and '.join(sorted(map(format_value, found)))}, which are never averaged"
            )
    return None


def _compared(
    cells: Mapping[RowColumn, list[CellValue]],
    numbers: Mapping[RowColumn, Number],
    against: str,
    protocol: str,
) -> tuple[dict[RowColumn, Number], list[str]]:
    """Return the numbers with their comparison, and a caption line per row over all like columns."""
    lines = [
        f"Δ: mean paired difference to row {against!r}, pairs of equal data set, split and seed; "
        "p: Wilcoxon signed-rank, two-sided, from 6 pairs on"
    ]
    out = dict(numbers)
    for row in dict.fromkeys(r for r, _ in numbers):
        if row == against:
            continue
        # columns of one quantity are pooled
        alike: dict[tuple[str, float], list[str]] = {}
        for column in dict.fromkeys(c for _, c in numbers):
            number = numbers[row, column]
            shown = number.quantity, number.scale
            alike.setdefault(shown, []).append(column)
            found = compare(cells.get((row, column), []), cells.get((against, column), []), protocol, *shown)
            if found is not None:
                out[row, column] = dataclasses.replace(number, paired=found)
        for shown, columns in alike.items():
            mine, theirs = ([v for c in columns for v in cells.get((r, c), [])] for r in (row, against))
            pooled = compare(mine, theirs, protocol, *shown)
            if pooled is not None:
                where = "all columns" if len(alike) == 1 else ", ".join(columns)
                lines.append(f"{row} against {against}, {where}: {pooled}")
    if all(n.paired is None for n in out.values()):
        lines.append(f"no trial pairs with one of row {against!r}")
    return out, lines


def _shared(values: Sequence[CellValue]) -> dict[str, Any]:
    """Return what every trial has in common, without what has no effect."""
    # equal configurations are one object
    configs = list({id(v.config): v.config for v in values if v.key}.values())
    if not configs:
        return {}
    names = [n for n in configs[0] if n not in HIDDEN]
    return {
        n: configs[0][n]
        for n in names
        if configs[0][n] is not None and all(c.get(n) == configs[0][n] for c in configs)
    }
