"""What a number of a table says, in words and digits, for every format that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.number import GAIN, Number

if TYPE_CHECKING:
    from orchestrator.report.table import Table


def parts(number: Number) -> list[str]:
    """Return the parts of a cell's text: none of them may be broken or shortened."""
    if number.mean is None:
        out = ["—"]
    else:
        spread = f" ± {number.std:.2f}" if number.std is not None else ""
        count = f"n={number.n}" if number.n == number.expected else f"n={number.n} of {number.expected}"
        splits = f"; {number.splits} splits ± {number.split_std:.2f}" if number.split_std is not None else ""
        shown = f"{number.mean:+.2f}" if number.protocol == GAIN else f"{number.mean:.2f}"
        out = [f"{shown}{spread}", f"({count}{splits})"]
    if number.low is not None:
        out.append(f"[{number.low:.2f}, {number.high:.2f}]")
    if number.paper is not None:
        gap = f", {number.difference:+.2f}" if number.difference is not None else ""
        out.append(f"[paper {number.paper}{gap}]")
    if number.paired is not None:
        out.append(str(number.paired))
    return out


def cell(number: Number) -> str:
    """Return a cell's text."""
    return " ".join(parts(number))


def grid(table: Table) -> list[list[str]]:
    """Return the head and the rows of a table as texts."""
    head = [table.row_name, *table.columns]
    return [head, *([row, *(cell(table.numbers[row, c]) for c in table.columns)] for row in table.rows)]
