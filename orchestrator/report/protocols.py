"""Several protocols of the same trials side by side, with what choosing the epoch on the test classes is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.records import VALIDATION, CellValue
from orchestrator.report.captions import PROTOCOLS
from orchestrator.report.number import BEST, FINAL, GAIN, number_of
from orchestrator.tables import GENERALISED, SIDE_BY_SIDE

if TYPE_CHECKING:
    from orchestrator.report.table import Table

BOTH, ALL = "both", "all"
HARMONIC = GENERALISED["harmonic mean"]
#: what follows a column of harmonic means under ``all``: its name, the result, what it is
GENERALISED_TOO = (
    (
        "gate H spread",
        "gzsl_gate_spread",
        "standard deviation of the harmonic mean over five gates fitted on other draws of the same samples",
    ),
    (
        "stacking H",
        SIDE_BY_SIDE["stacking H"],
        "calibrated stacking, its factor chosen on validation classes",
    ),
    ("AUSUC", SIDE_BY_SIDE["AUSUC"], "area under the whole seen-unseen curve, for which nothing is chosen"),
    (
        "H tuned on test",
        "gzsl_test_tuned_harmonic",
        "stacking with the factor that is best on the test samples: an upper bound, no result",
    ),
)


def protocols_of(asked: str, values: Sequence[CellValue]) -> tuple[str, ...]:
    """Return the protocols that ``both`` or ``all`` stands for; validation only where it was measured."""
    if asked == BOTH:
        return FINAL, BEST, GAIN
    validated = any(v.validated is not None for v in values)
    return (FINAL, *([VALIDATION] if validated else []), BEST, GAIN)


def side_by_side(
    build: Callable[[str, str | None], Table], against: str | None, protocols: Sequence[str]
) -> Table:
    """Return the table with a column for each protocol in place of each column of accuracies.

    Columns of other results, which have no protocol, stay as they are. The paper's numbers, which
    are ``best``, stand beside those alone.

    Args:
        build: makes the table of a protocol and of a row to compare with.
        protocols: ``final`` first.
    """
    tables = {p: build(p, None if p == GAIN else against) for p in protocols}
    final = tables[FINAL]
    columns, numbers, cells = [], {}, {}
    for column in final.columns:
        accuracies = any(final.numbers[row, column].protocol for row in final.rows)
        for protocol, table in tables.items() if accuracies else ((FINAL, final),):
            name = f"{column} {protocol}" if accuracies else column
            columns.append(name)
            for row in final.rows:
                number = table.numbers[row, column]
                if accuracies and protocol != BEST:
                    number = dataclasses.replace(number, paper=None, difference=None)
                numbers[row, name] = number
                cells[row, name] = final.cells.get((row, column), [])
    lines = _captions(tables)
    at = 1 if final.simulated else 0
    lines[at:at] = [PROTOCOLS[p] for p in protocols]
    return dataclasses.replace(
        final, columns=tuple(columns), numbers=numbers, cells=cells, caption=tuple(lines)
    )


def with_generalised(table: Table) -> Table:
    """Return the table with every other way to count a generalised trial behind each harmonic mean.

    What another column shows of the same trials already, and what no trial has, is left out.
    """
    shown = {
        (number.quantity, frozenset(v.key for v in table.cells.get(place, ())))
        for place, number in table.numbers.items()
    }
    columns: list[str] = []
    numbers, cells = dict(table.numbers), dict(table.cells)
    added: dict[str, str] = {}
    for column in table.columns:
        columns.append(column)
        if all(table.numbers[row, column].quantity != HARMONIC for row in table.rows):
            continue
        base = column.removesuffix("harmonic mean").removesuffix("gate H").rstrip()
        for name, quantity, what in GENERALISED_TOO:
            made = {}
            for row in table.rows:
                cell = table.cells.get((row, column), [])
                if (quantity, frozenset(v.key for v in cell)) not in shown:
                    made[row] = number_of(cell, FINAL, quantity, 100.0)
            if len(made) < len(table.rows) or all(n.mean is None for n in made.values()):
                continue
            new = f"{base} {name}".strip()
            columns.append(new)
            numbers |= {(row, new): number for row, number in made.items()}
            cells |= {(row, new): table.cells.get((row, column), []) for row in table.rows}
            added[name] = what
    lines = [f"{name}: {what}" for name, what in added.items()]
    return dataclasses.replace(
        table, columns=tuple(columns), numbers=numbers, cells=cells, caption=(*table.caption, *lines)
    )


def _captions(tables: dict[str, Table]) -> list[str]:
    """Return the lines of all protocols, those that not all of them have with the protocol before them."""
    own = {PROTOCOLS[p] for p in tables}
    lines = {p: [x for x in table.caption if x not in own] for p, table in tables.items() if p != GAIN}
    common = set.intersection(*map(set, lines.values()))
    first, *others = lines
    out = [line if line in common else f"{first}: {line}" for line in lines[first]]
    return out + [f"{p}: {line}" for p in others for line in lines[p] if line not in common]
