"""Tables of several studies side by side: a column of each study for every column that they have."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from orchestrator.report.number import Number
from orchestrator.report.table import Table

ABSENT = "not part of this study"


def side_by_side(tables: Sequence[tuple[str, Table]]) -> Table:
    """Return one table: rows of all, each column once a study that has it, named after both.

    A comparison with a row stays inside its study. What a caption says of one study alone names it.
    """
    (_, first), *others = tables
    if not others:
        return first
    rows = dict.fromkeys(row for _, table in tables for row in table.rows)
    columns, numbers, cells = [], {}, {}
    for column in dict.fromkeys(column for _, table in tables for column in table.columns):
        for study, table in tables:
            if column not in table.columns:
                continue
            name = f"{column} ({study})"
            columns.append(name)
            for row in rows:
                number = table.numbers.get((row, column))
                numbers[row, name] = number or Number(None, None, 0, 0, missing=ABSENT)
                cells[row, name] = table.cells.get((row, column), [])
    shared = [line for line in first.caption if all(line in table.caption for _, table in others)]
    own = [f"{study}: {line}" for study, table in tables for line in table.caption if line not in shared]
    titles = list(dict.fromkeys(table.title.removesuffix(" (simulated)") for _, table in tables))
    simulated = any(table.simulated for _, table in tables)
    return dataclasses.replace(
        first,
        title=" and ".join(titles) + (" (simulated)" if simulated else ""),
        caption=(*shared, *own),
        rows=tuple(rows),
        columns=tuple(columns),
        numbers=numbers,
        cells=cells,
        simulated=simulated,
    )
