"""Tables on a terminal: no text is read as markup, and no number is shortened at any width."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segments
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.report.text import parts

if TYPE_CHECKING:
    from orchestrator.report.table import Table

LABEL_WIDTH = 16  # to which row labels are wrapped before a table is printed wider than the terminal
WIDEST = 100_000


def plain_console(file: IO[str] | None = None) -> Console:
    """Return a console on which brackets and colons are brackets and colons."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


def print_table(table: Table, console: Console) -> None:
    """Print a table with its title and caption.

    On a terminal that is too narrow labels are wrapped and the parts of a cell stand below each other;
    where that does not fit either, and elsewhere than on a terminal, the table is printed whole.
    """
    console.print(Text(table.title, style="bold"), soft_wrap=True)
    shapes = [_shaped(table)]
    if console.is_terminal:
        shapes += [_shaped(table, stacked=True), _shaped(table, stacked=True, label_width=LABEL_WIDTH)]
    fitting = (shape for shape in shapes if fits(shape, console))
    print_whole(next(fitting, shapes[0]), console)
    for line in table.caption:
        style = "bold yellow" if line.startswith("SIMULATED") else "dim"
        console.print(Text(line, style=style), soft_wrap=True)


def as_text(table: Table) -> str:
    """Return what :func:`print_table` writes to a file."""
    file = io.StringIO()
    print_table(table, plain_console(file))
    return file.getvalue()


def plain_table(columns: Sequence[str | Column], rows: Sequence[Sequence[str]]) -> RichTable:
    """Return a table of plain texts, none of them wrapped."""
    shown = RichTable(*(c if isinstance(c, Column) else _column(c) for c in columns))
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def print_whole(shown: RichTable, console: Console) -> None:
    """Print a table as wide as it is, also past the edge."""
    width = max(console.width, _width(console, shown))
    lines = list(console.render(shown, console.options.update(width=width)))
    console.print(Segments(lines), end="", crop=False)


def fits(shown: RichTable, console: Console) -> bool:
    """Return whether a table is no wider than a console."""
    return _width(console, shown) <= console.width


def _width(console: Console, shown: RichTable) -> int:
    return Measurement.get(console, console.options.update(width=WIDEST), shown).maximum


def _column(head: str, *, right: bool = False) -> Column:
    return Column(Text(head), no_wrap=True, justify="right" if right else "left")


def _shaped(table: Table, *, stacked: bool = False, label_width: int = WIDEST) -> RichTable:
    """Return the table, the parts of each cell in a line or below each other."""
    columns, cells = [_column(_wrapped(table.row_name, label_width))], {}
    for name in table.columns:
        texts = [parts(table.numbers[row, name]) for row in table.rows]
        width = max(len(part) for text in texts for part in text) if stacked else WIDEST
        columns.append(_column(_wrapped(name, width), right=True))
        cells[name] = [("\n" if stacked else " ").join(text) for text in texts]
    rows = [
        [_wrapped(row, label_width), *(cells[name][i] for name in table.columns)]
        for i, row in enumerate(table.rows)
    ]
    return plain_table(columns, rows)


def _wrapped(label: str, width: int) -> str:
    lines = textwrap.wrap(label, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) if len(label) > width else label
