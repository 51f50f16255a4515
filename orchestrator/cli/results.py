"""Commands that read the store: report, status, trials, show, db."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.common import (
    Format,
    Output,
    Protocol,
    StudyName,
    emit,
    friendly,
    load_settings,
    open_store,
    pairs,
)

if TYPE_CHECKING:
    from orchestrator.store import Store

app = typer.Typer()
db = typer.Typer(no_args_is_help=True, help="Look after the result store.")


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
    format_: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.rich,
    protocol: Annotated[
        Protocol, typer.Option(help="Last epoch, or best epoch on the test classes.")
    ] = Protocol.final,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="ROW", help="Compare every row with this one, in pairs."),
    ] = None,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option("--explain", metavar="ROW COL", help="Say what one number is made of."),
    ] = None,
    output: Output = None,
) -> None:
    """Print a table of results: a table of the paper, a pivot, or a study's own grid."""
    from rich.console import Console

    from orchestrator.errors import SettingsError
    from orchestrator.report import render
    from orchestrator.report import table as tables
    from orchestrator.report.explain import explain as explained
    from orchestrator.tables import layout

    store = open_store()
    shape = layout(table) if table is not None else None
    study_id, name = store.find_study(study, shape.name if shape else None)
    if rows or cols:
        values = store.cells(study_id, shape.name if shape else None)
        columns = [c.strip() for c in (cols or "").split(",") if c.strip()]
        built = tables.pivot(
            values, rows or "method", columns, protocol=protocol, study=name, against=compare
        )
    else:
        values = store.cells(study_id, shape.name if shape else "grid")
        if not values:
            raise SettingsError(f"study {name!r} has no grid{_tables_to_give(store, study_id)}")
        built = tables.build_table(values, protocol=protocol, study=name, layout=shape, against=compare)
    if explain is not None:
        emit("\n".join([*explained(store, built, *explain, protocol), ""]), output)
    elif format_ is Format.rich and output is None:
        render.print_rich(built, Console(highlight=False))
    else:
        emit(render.render(built, "md" if format_ is Format.rich else format_), output)


@app.command()
@friendly
def figure(
    number: Annotated[int, typer.Argument(metavar="N", help="4, 5, 6 or 7, as in the paper.")],
    output: Annotated[Path, typer.Option("--output", help="An image file: .png, .svg, .pdf.")],
    study: StudyName = None,
    trial: Annotated[str | None, typer.Option(help="4 and 7: the dvta trial to look into.")] = None,
) -> None:
    """Draw a figure of the paper: 4 representations, 5 loss curves, 6 classes and SDE, 7 similarities."""
    from orchestrator.cli.predict import Predictor
    from orchestrator.errors import SettingsError
    from orchestrator.report.figures import draw

    if output.suffix not in (".png", ".svg", ".pdf"):
        raise SettingsError(f"--output {output}: allowed endings: .png, .svg, .pdf")
    store = open_store()

    def cells(table: str) -> tuple[str, list[Any]]:
        study_id, name = store.find_study(study, table)
        return name, store.cells(study_id, table)

    def predictor() -> Predictor:
        if trial is None:
            raise SettingsError(f"figure {number}: looks into one trial; give it with --trial")
        found = store.trial(find_trial(store, trial).key)
        return Predictor(found, load_settings(), lambda line: typer.echo(line, err=True))

    emit(draw(number, output.suffix[1:], store=store, cells=cells, predictor=predictor), output)
    typer.echo(str(output))


@app.command()
@friendly
def page(
    output: Annotated[Path, typer.Option("--output", help="Where the page goes.")] = Path("page.html"),
    study: StudyName = None,
    protocol: Annotated[
        Protocol, typer.Option(help="Last epoch, or best epoch on the test classes.")
    ] = Protocol.final,
) -> None:
    """Write one HTML page with every table of a study."""
    from orchestrator.report import table as tables
    from orchestrator.report.page import page as made
    from orchestrator.tables import TABLES, layout

    store = open_store()
    study_id, name = store.find_study(study)
    values = store.cells(study_id)
    built = {
        which: tables.build_table(
            [v for v in values if v.table == which],
            protocol=protocol,
            study=name,
            layout=layout(which) if which in (*TABLES, "gzsl") else None,
        )
        for which in dict.fromkeys(v.table for v in values)
    }
    emit(made(f"Study {name}", built), output)
    typer.echo(f"{output}: {len(built)} tables")


@app.command()
@friendly
def status(study: Annotated[str | None, typer.Option("--study", help="Only this study.")] = None) -> None:
    """Print how every study stands; works while a sweep runs."""
    from rich.console import Console
    from rich.table import Column, Table

    from orchestrator.cli.progress import duration

    store, out = open_store(), Console(highlight=False)
    wanted = [store.find_study(study)] if study else [(i, name) for i, name, _ in store.studies()]
    standings = [(name, store.standing(study_id)) for study_id, name in wanted]
    always = ("done", "running", "to run")
    names = [
        state
        for state in ("done", "running", "interrupted", "failed", "pruned", "to run")
        if state in always or any(standing.counts.get(state) for _, standing in standings)
    ]
    shown = Table(Column("study", no_wrap=True), "trials", *names, "left on one worker")
    running: dict[str, str] = {}
    for name, standing in standings:
        rest = sum(standing.counts.get(s, 0) for s in ("running", "interrupted", "to run"))
        left = "" if not rest else "unknown" if standing.seconds is None else duration(standing.seconds)
        shown.add_row(name, str(standing.trials), *(str(standing.counts.get(s, 0)) for s in names), left)
        for key, trial, epoch, epochs, host in standing.running:
            running[key] = f"running: {key[:10]} {trial} epoch {epoch}/{epochs}, driver on {host}"
    out.print(shown)
    for line in running.values():
        out.print(line, markup=False, soft_wrap=True)


@app.command()
@friendly
def trials(
    filter_: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Such as dataset=ntu60.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List stored trials."""
    from rich.console import Console
    from rich.table import Column, Table

    from orchestrator.trial import names_beside

    shown = Table("key", Column("trial", overflow="fold"), "state", "final", "best")
    found = find_trials(open_store(), pairs(filter_), limit)
    names = names_beside([{**value.config, "seed": value.seed} for value in found])
    for value, name in zip(found, names, strict=True):
        numbers = [f"{100 * x:.2f}" if x is not None else "" for x in (value.final, value.best)]
        mark = " (simulated)" if value.source == "simulated" else ""
        shown.add_row(
            (value.key or "")[:10], name.replace("[", "\\[") + mark, value.state or "not run", *numbers
        )
    Console(highlight=False).print(shown)


@app.command()
@friendly
def show(trial: Annotated[str, typer.Argument(help="A key's beginning, or a printed name.")]) -> None:
    """Print everything about one trial."""
    from rich.console import Console

    store = open_store()
    value = find_trial(store, trial)
    assert value.key is not None
    last = store.attempts([value.key])[-1:]
    out = Console(highlight=False)
    about: dict[str, Any] = {
        "key": value.key, "seed": value.seed, "state": value.state or "not run", "final accuracy": value.final,
        "best accuracy": value.best, "seconds": value.seconds, "data digest": value.data_digest,
        "error": value.error,
    }  # fmt: skip
    for attempt in last:
        about |= {
            "attempt": attempt.number, "commit": attempt.provenance.get("git_commit"),
            "device": attempt.worker.get("device"), "MLflow run": attempt.mlflow_run_id,
        }  # fmt: skip
    for name, content in {**about, **value.config}.items():
        if content is not None:
            out.print(f"{name:22} {content}", markup=False, soft_wrap=True)


def find_trials(store: Any, where: dict[str, str], limit: int | None = None) -> Any:
    """Return stored trials by names and the texts their values are printed as.

    Raises:
        StoreError: no trial has a name of ``where``, or there is no such state.
    """
    from dvta.errors import did_you_mean
    from orchestrator.errors import StoreError
    from orchestrator.trial import State

    found = store.trials(where, limit)
    if found or not where:
        return found
    known = {"key", "state", "seed", *(name for value in store.trials() for name in value.config)}
    for name, value in where.items():
        if name not in known:
            raise StoreError(
                f"{name}: no trial has it{did_you_mean(name, known)}; allowed: {', '.join(sorted(known))}"
            )
        states = [*map(str, State), "not run"]
        if name == "state" and value not in states:
            raise StoreError(
                f"state: {value!r} is unknown{did_you_mean(value, states)}; allowed: {', '.join(states)}"
            )
    return found


def find_trial(store: Any, name: str) -> Any:
    """Return the one stored trial of a key's beginning or a printed name.

    Raises:
        StoreError: none or several fit.
    """
    from orchestrator.errors import StoreError

    where = {"key": name}
    if "[" in name:
        method, _, inside = name.rstrip("]").partition("[")
        where = {"method": method, **(pairs(inside.split(",")) if inside else {})}
    found = find_trials(store, where)
    if len(found) != 1:
        names = ", ".join((v.key or "")[:10] for v in found[:8])
        raise StoreError(
            f"trial {name!r}: {len(found)} match{': ' + names if names else ''}; see dvta-orch trials"
        )
    return found[0]


@db.command("check")
@friendly
def db_check() -> None:
    """Open the store and say what is in it."""
    from orchestrator.store.schema import REVISION

    store = open_store()
    count = sum(store.standing(i).trials for i, _, _ in store.studies())
    where = load_settings().store.rpartition("@")[2]
    typer.echo(f"{where}: schema {REVISION}, {len(store.studies())} studies, {count} trials in their cells")


@db.command("upgrade")
@friendly
def db_upgrade() -> None:
    """Migrate the store to this program's schema; an SQLite file is copied first."""
    from orchestrator.store.schema import REVISION

    open_store()  # opening migrates
    typer.echo(f"{load_settings().store.rpartition('@')[2]}: schema {REVISION}")


@db.command("export")
@friendly
def db_export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the CSV files go.")],
) -> None:
    """Write every table of the store as CSV."""
    from orchestrator.store.export import export

    for name, count in export(open_store(), folder).items():
        typer.echo(f"{folder / name}.csv: {count} rows")


def _tables_to_give(store: Store, study_id: int) -> str:
    """Return the flags that report the tables a study has."""
    from orchestrator.tables import EXTRA, TABLES

    stored = {value.table for value in store.cells(study_id)}
    have = [table.removeprefix("table") for table in (*TABLES, *EXTRA) if table in stored]
    return f"; give --table {' or '.join(have)}" if have else " yet"
