"""Commands that look after the result store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, load_settings, open_store
from orchestrator.cli.output import AsJson, print_json

db = typer.Typer(no_args_is_help=True, help="Look after the result store.")


@db.command("check")
@friendly
def db_check(as_json: AsJson = False) -> None:
    """Open the store and say what is in it."""
    from orchestrator.cli.answers import DbCheck
    from orchestrator.store.schema import REVISION

    store = open_store()
    store.check_whole()
    count = sum(store.standing(i).trials for i, _, _ in store.studies())
    where = load_settings().store.rpartition("@")[2]
    found = DbCheck(where, REVISION, len(store.studies()), count)
    if as_json:
        print_json(found)
        return
    typer.echo(f"{where}: schema {REVISION}, {found.studies} studies, {count} trials in their cells")


@db.command("upgrade")
@friendly
def db_upgrade() -> None:
    """Migrate the store to this program's schema; an SQLite file is copied first."""
    from orchestrator.store.schema import REVISION

    open_store().check_whole()  # opening migrates
    typer.echo(f"{load_settings().store.rpartition('@')[2]}: schema {REVISION}")


@db.command("export")
@friendly
def db_export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the CSV files go.")],
    as_json: AsJson = False,
) -> None:
    """Write every table of the store as CSV."""
    from orchestrator.cli.answers import DbExport, ExportedTable
    from orchestrator.store.export import export

    counts = export(open_store(), folder)
    files = tuple(ExportedTable(f"{folder / name}.csv", count) for name, count in counts.items())
    if as_json:
        print_json(DbExport(files))
        return
    for written in files:
        typer.echo(f"{written.file}: {written.rows} rows")
