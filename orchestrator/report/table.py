"""From stored values to a table: mean ± std over seeds, n, the paper beside it. Pure."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.records import ACCURACY, ASIDE, VALIDATION, CellValue
from orchestrator.report.captions import caption
from orchestrator.report.compare import compared
from orchestrator.report.number import GAIN, Number, each_once, number_of
from orchestrator.report.protocols import ALL, BOTH, HARMONIC, protocols_of, side_by_side, with_generalised
from orchestrator.tables import GENERALISED, Layout, shown_row
from orchestrator.trial import format_value, varying

RowColumn = tuple[str, str]


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
        protocol: ``final``, ``best`` or ``validation``; ``both`` or ``all`` of them side by side.
        layout: the paper's table; without it the paper is not mentioned.
        against: a row (or a part of its name) every other row is compared with, trial by trial.

    Raises:
        SettingsError: there is no row ``against``.
    """
    if protocol in (BOTH, ALL):
        make = functools.partial(build_table, values, by=by, study=study, layout=layout)
        shown = protocols_of(protocol, values)
        table = side_by_side(lambda each, row: make(protocol=each, against=row), against, shown)
        return with_generalised(table) if protocol == ALL else table
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
    lines: list[str] = []
    if against is not None:
        numbers, lines = compared(cells, numbers, choose("--compare ROW", against, rows), protocol)
    # the average row of a table is one over splits, and says so
    if hidden := averaged(cells, apart=() if by else ("dataset", "split")):
        lines.append(f"averaged over {', '.join(hidden)}")
    if layout:
        title = f"{layout.name.replace('table', 'Table ')}: {layout.title}"
    else:
        aside = {v.table for v in values} & {*ASIDE} if by is None else set()
        title = f"Study {study}" + "".join(f": {name}" for name in sorted(aside))
    return Table(
        title + (" (simulated)" if simulated else ""),
        caption(
            values,
            numbers,
            protocol=protocol,
            study=study,
            simulated=simulated,
            layout=layout,
            besides=lines,
        ),
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
    unique = each_once(
        v for v in values if v.table not in ("search", VALIDATION) and v.config.get("kind") == "alignment"
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
    lines = list(table.caption)
    if any(n.quantity == HARMONIC for n in table.numbers.values()):
        lines.append("of generalised trials: the harmonic mean of the accuracies on seen and unseen classes")
    return dataclasses.replace(table, row_name=rows, caption=tuple(lines))


def _check_names(names: Sequence[str], values: Sequence[CellValue]) -> None:
    # equal configurations are one object
    configs = {id(v.config): v.config for v in values}.values()
    known = sorted({n for config in configs for n in config} | {"seed"})
    for name in names:
        if name not in known:
            raise SettingsError(
                f"{name!r} is unknown{did_you_mean(name, known)}; allowed: {', '.join(known)}"
            )


def averaged(cells: Mapping[Any, Sequence[CellValue]], *, apart: Sequence[str] = ()) -> list[str]:
    """Return the names, sorted, in which trials of one cell and seed differ: what their mean hides.

    Args:
        apart: names in which they may differ; only trials that have them in common are held against each other.
    """
    # equal configurations are one object
    mixed: dict[Any, dict[int, Mapping[str, Any]]] = {}
    for cell, values in cells.items():
        for value in values:
            alike = cell, value.seed, *(value.config.get(name) for name in apart)
            mixed.setdefault(alike, {})[id(value.config)] = value.config
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
        cells.setdefault(by(value) if by else (shown_row(value.row), value.column), []).append(value)
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
        return number_of(cell, protocol, quantity(cell, place[1]), 100.0)
    number = number_of(cell, protocol, printed.quantity, printed.scale)
    simulated = any(v.source == "simulated" for v in cell)
    value = None if simulated or printed.paper is None else printed.paper
    shown = None if value is None else printed.printed or f"{value:.2f}"
    comparable = value is not None and number.mean is not None and printed.comparable
    if protocol == GAIN:
        shown, comparable = None, False
    difference = number.mean - value if comparable else None  # type: ignore[operator]
    return dataclasses.replace(number, paper=shown, difference=difference, note=printed.note)
