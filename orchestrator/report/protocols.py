"""Both protocols side by side, with what choosing the epoch on the test classes is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.report.captions import PROTOCOLS
from orchestrator.report.number import BEST, FINAL, GAIN

if TYPE_CHECKING:
    from orchestrator.report.table import Table

BOTH = "both"


def side_by_side(build: Callable[[str, str | None], Table], against: str | None) -> Table:
    """Return the table with three columns for each column of accuracies: final, best and their difference.

    Columns of other results, which have no protocol, stay as they are. The paper's numbers, which
    are ``best``, stand beside those alone.

    Args:
        build: makes the table of a protocol and of a row to compare with.
    """
    tables = {FINAL: build(FINAL, against), BEST: build(BEST, against), GAIN: build(GAIN, None)}
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
    own = {PROTOCOLS[FINAL], PROTOCOLS[BEST]}
    lines = [line for line in final.caption if line not in own]
    apart = {p: set(tables[p].caption) - own for p in (FINAL, BEST)}
    lines = [line if line in apart[BEST] else f"{FINAL}: {line}" for line in lines]
    lines += [f"{BEST}: {x}" for x in tables[BEST].caption if x in apart[BEST] - apart[FINAL]]
    at = 1 if final.simulated else 0
    lines[at:at] = PROTOCOLS.values()
    return dataclasses.replace(
        final, columns=tuple(columns), numbers=numbers, cells=cells, caption=tuple(lines)
    )
