"""Commands that look after the result store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import counted, friendly, load_settings, open_store
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
    typer.echo(
        f"{where}: schema {REVISION}, {counted(found.studies, 'study')}, {counted(count, 'trial')} in their cells"
    )


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
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Where the CSV files go.")] = None,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="FILE", help="One file that db import and report read."),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="With --archive: only this study and its trials.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every table of the store as CSV, or all finished attempts as an archive with digests."""
    from orchestrator.errors import SettingsError

    if (folder is None) == (archive is None):
        raise SettingsError("db export: allowed: a FOLDER for CSV files, or --archive FILE")
    if archive is not None:
        _write_archive(archive, study, as_json=as_json)
        return
    if study is not None:
        raise SettingsError(
            f"--study {study}: a folder of CSV files has all studies; allowed: with --archive"
        )
    assert folder is not None
    _write_csv(folder, as_json=as_json)


def _write_csv(folder: Path, *, as_json: bool) -> None:
    from orchestrator.cli.answers import DbExport, ExportedTable
    from orchestrator.store.export import export

    counts = export(open_store(), folder)
    files = tuple(ExportedTable(f"{folder / name}.csv", count) for name, count in counts.items())
    if as_json:
        print_json(DbExport(files))
        return
    for written in files:
        typer.echo(f"{written.file}: {counted(written.rows, 'row')}")


def _write_archive(archive: Path, study: str | None, *, as_json: bool) -> None:
    from orchestrator.cli.answers import DbExport, ExportedTable
    from orchestrator.store.archive import write_archive

    content, digest = write_archive(open_store(), archive, study)
    if as_json:
        print_json(DbExport((ExportedTable(str(archive), content.attempts),)))
        return
    typer.echo(
        f"{archive}: {counted(content.trials, 'trial')}, {counted(content.attempts, 'finished attempt')}, "
        f"{counted(content.studies, 'study')}, content {digest}"
    )


@db.command("import")
@friendly
def db_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive that db export wrote.")],
) -> None:
    """Add what an archive has and the store has not; exit code 1 where results of one trial differ."""
    from orchestrator.cli.stores import conflicts
    from orchestrator.store import Store
    from orchestrator.store.archive import import_archive, opened

    # a damaged archive makes no store
    with opened(file):
        store = Store.open(load_settings().store)
    merged = import_archive(file, store)
    typer.echo(
        f"{file}: {merged.trials} of {counted(merged.found_trials, 'trial')} and {merged.attempts} of "
        f"{counted(merged.found_attempts, 'attempt')} are new, {counted(merged.cells, 'cell')} added"
    )
    for name in merged.other_specs:
        typer.echo(
            f"study {name}: was swept from another spec there; this store's spec stays, its cells were added"
        )
    found = conflicts(merged, store)
    for line in found:
        typer.echo(line, err=True)
    raise typer.Exit(1 if found else 0)
