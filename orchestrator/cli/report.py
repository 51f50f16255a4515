"""The command that prints tables of what was measured."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import (
    Format,
    Output,
    StudyName,
    emit,
    friendly,
)
from orchestrator.cli.stores import Stores, open_stores

if TYPE_CHECKING:
    from orchestrator.store import Store

app = typer.Typer()
Shown = enum.StrEnum("Shown", ["final", "validation", "best", "both", "all"])


@app.command()
@friendly
def report(
    table: Annotated[
        str | None, typer.Option("--table", help="A table of the paper, 1 to 9, or gzsl.")
    ] = None,
    rows: Annotated[str | None, typer.Option("--rows", help="A configuration name for the rows.")] = None,
    cols: Annotated[
        str | None, typer.Option("--cols", help="Configuration names for the columns, with commas.")
    ] = None,
    study: StudyName = None,
    format_: Annotated[
        Format | None, typer.Option("--format", help="How it is written; without it, as --output ends.")
    ] = None,
    protocol: Annotated[
        Shown,
        typer.Option(
            help="Last epoch, best on validation classes, best on the test classes; or several side by side."
        ),
    ] = Shown.final,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="ROW", help="Compare every row with this one, by class split."),
    ] = None,
    interval: Annotated[
        bool, typer.Option("--interval", help="Add a 95 % interval: splits, seeds and classes drawn anew.")
    ] = False,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option("--explain", metavar="ROW COL", help="Say what one number is made of."),
    ] = None,
    siunitx: Annotated[
        bool, typer.Option("--siunitx", help="LaTeX: align numbers at the point, with that package.")
    ] = False,
    stores: Stores = None,
    output: Output = None,
) -> None:
    """Print a table of results: a table of the paper, a pivot, or a study's own grid."""
    from orchestrator.errors import SettingsError
    from orchestrator.report import table as tables
    from orchestrator.report.explain import explain as explained
    from orchestrator.report.latex import latex
    from orchestrator.report.render import render
    from orchestrator.report.terminal import plain_console, print_table
    from orchestrator.report.validation import values_under
    from orchestrator.tables import layout

    style = style_of(format_, output, only_text=explain is not None)
    if siunitx and style != Format.latex:
        raise SettingsError(f"--siunitx: is for LaTeX, this is {style}; allowed: with --format latex")
    store = open_stores(stores)
    shape = layout(table) if table is not None else None
    study_id, name = store.find_study(study, shape.name if shape else None)
    if rows or cols:
        values = values_under(store, (study_id, name), shape.name if shape else None, protocol)
        columns = [c.strip() for c in (cols or "").split(",") if c.strip()]
        built = tables.pivot(
            values, rows or "method", columns, protocol=protocol, study=name, against=compare
        )
    else:
        values = values_under(store, (study_id, name), shape.name if shape else "grid", protocol)
        if not values:
            raise SettingsError(f"study {name!r} has no grid{_tables_to_give(store, study_id)}")
        built = tables.build_table(values, protocol=protocol, study=name, layout=shape, against=compare)
    if interval:
        from orchestrator.report.judging.cells import with_intervals

        attempts = {v.attempt_id for cell in built.cells.values() for v in cell if v.attempt_id is not None}
        built = with_intervals(built, {p: store.class_counts(attempts, p) for p in ("final", "best")})
    if explain is not None:
        emit("\n".join([*explained(store, built, *explain, protocol), ""]), output)
    elif style == "rich" and output is None:
        print_table(built, plain_console())
    else:
        emit(latex(built, siunitx=True) if siunitx else render(built, style), output)


def style_of(given: Format | None, output: Path | None, *, only_text: bool = False) -> str:
    """Return the format a report is written in.

    Raises:
        SettingsError: the ending of the file says nothing of it, or what is written is text only.
    """
    from dvta.errors import did_you_mean
    from orchestrator.errors import SettingsError
    from orchestrator.report.render import ENDINGS

    if only_text and given not in (None, Format.rich):
        raise SettingsError(f"--format {given}: --explain writes text; allowed: rich")
    if given is not None or output is None:
        return given or Format.rich
    allowed = [".txt"] if only_text else list(ENDINGS)
    if output.suffix not in allowed:
        raise SettingsError(
            f"--output {output}: the ending {output.suffix!r} says no format"
            f"{did_you_mean(output.suffix, allowed)}; allowed: {', '.join(allowed)}, or name it with --format"
        )
    return ENDINGS[output.suffix]


def _tables_to_give(store: Store, study_id: int) -> str:
    """Return the flags that report the tables a study has."""
    from orchestrator.tables import EXTRA, TABLES

    stored = {value.table for value in store.cells(study_id)}
    have = [table.removeprefix("table") for table in (*TABLES, *EXTRA) if table in stored]
    return f"; give --table {' or '.join(have)}" if have else " yet"
