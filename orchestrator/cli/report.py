"""The command that prints tables of what was measured."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from orchestrator.cli.common import Format, Output, Written, emit, friendly, names_of, study_option
from orchestrator.cli.output import AsCsv, AsJson
from orchestrator.cli.stores import Stores, open_stores

if TYPE_CHECKING:
    from orchestrator.report.table import Table
    from orchestrator.store import Store

app = typer.Typer()
Shown = enum.StrEnum("Shown", ["final", "validation", "best", "both", "all"])


@app.command()
@friendly
def report(
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            help="A table: 1 to 9 of the paper, gzsl, leaderboard or end_to_end; without it the study's grid, or its only table.",
        ),
    ] = None,
    rows: Annotated[str | None, typer.Option("--rows", help="A configuration name for the rows.")] = None,
    cols: Annotated[
        str | None, typer.Option("--cols", help="Configuration names for the columns, with commas.")
    ] = None,
    studies: Annotated[
        list[str] | None,
        study_option("A study by name; the newest without it. Several: side by side."),
    ] = None,
    format_: Written = None,
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
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Print a table of results: a table of the paper, a pivot, or a study's own grid."""
    from orchestrator.errors import SettingsError
    from orchestrator.report.explain import explain as explained
    from orchestrator.report.latex import latex
    from orchestrator.report.render import render
    from orchestrator.report.studies import side_by_side
    from orchestrator.report.terminal import plain_console, print_table

    style = style_of(_given(format_, as_json, as_csv), output, only_text=explain is not None)
    if siunitx and style != Format.latex:
        raise SettingsError(f"--siunitx: is for LaTeX, this is {style}; allowed: with --format latex")
    store = open_stores(stores)
    asked = _Asked(table, rows, names_of(cols or ""), protocol, compare, interval)
    named: list[str | None] = list(dict.fromkeys(studies or [])) or [None]
    if explain is not None and len(named) > 1:
        raise SettingsError("--explain: says what one number is made of; allowed: one --study")
    built = side_by_side([_build(store, study, asked) for study in named])
    if explain is not None:
        emit("\n".join([*explained(store, built, *explain, protocol), ""]), output)
    elif style == "rich" and output is None:
        print_table(built, plain_console())
    else:
        emit(latex(built, siunitx=True) if siunitx else render(built, style), output)


class _Asked(NamedTuple):
    """What a table of each study is made by."""

    table: str | None
    rows: str | None
    columns: Sequence[str]
    protocol: str
    compare: str | None
    interval: bool


def _build(store: Store, study: str | None, asked: _Asked) -> tuple[str, Table]:
    """Return the name and the table of a study, with intervals where they are asked for."""
    name, built = _built(store, study, asked)
    if not asked.interval:
        return name, built
    from orchestrator.report.judging.cells import with_intervals

    attempts = {v.attempt_id for cell in built.cells.values() for v in cell if v.attempt_id is not None}
    return name, with_intervals(built, {p: store.class_counts(attempts, p) for p in ("final", "best")})


def _built(store: Store, study: str | None, asked: _Asked) -> tuple[str, Table]:
    from orchestrator.report import table as tables
    from orchestrator.report.validation import values_under
    from orchestrator.tables import layout

    shape = layout(asked.table) if asked.table is not None else None
    study_id, name = store.find_study(study, shape.name if shape else None)
    about: dict[str, Any] = {"protocol": asked.protocol, "study": name, "against": asked.compare}
    if asked.rows or asked.columns:
        values = values_under(store, (study_id, name), shape.name if shape else None, asked.protocol)
        return name, tables.pivot(values, asked.rows or "method", asked.columns, **about)
    if shape is None and (only := _table_of(store, study_id, name)) is not None:
        shape = layout(only)
    values = values_under(store, (study_id, name), shape.name if shape else "grid", asked.protocol)
    return name, tables.build_table(values, layout=shape, **about)


def _given(format_: Format | None, as_json: bool, as_csv: bool) -> Format | None:
    """Return the format that --format, --json or --csv asks for.

    Raises:
        SettingsError: they ask for several.
    """
    from orchestrator.errors import SettingsError

    chosen = {*([format_] if format_ else []), *([Format.json] * as_json), *([Format.csv] * as_csv)}
    if len(chosen) > 1:
        raise SettingsError(f"--format, --json, --csv: {' and '.join(sorted(chosen))}; allowed: one of them")
    return next(iter(chosen), None)


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


def tables_to_give(store: Store, study_id: int) -> list[str]:
    """Return what ``--table`` may be of a study, as a person types it; empty where it has a grid."""
    from orchestrator.tables import EXTRA, TABLES

    stored = store.tables(study_id)
    if "grid" in stored:
        return []
    return [table.removeprefix("table") for table in (*TABLES, *EXTRA) if table in stored]


def _table_of(store: Store, study_id: int, name: str) -> str | None:
    """Return the only table of a study that has no grid, None for the grid.

    Raises:
        SettingsError: it has no cells, or several tables.
    """
    from orchestrator.errors import SettingsError

    have = tables_to_give(store, study_id)
    if not have and "grid" not in store.tables(study_id):
        raise SettingsError(f"study {name!r} has no grid yet")
    if len(have) > 1:
        raise SettingsError(f"study {name!r} has no grid; give --table {' or '.join(have)}")
    return have[0] if have else None
