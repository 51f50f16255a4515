"""Commands that look after the result store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import counted, friendly, load_settings, open_store

db = typer.Typer(no_args_is_help=True, help="Look after the result store.")


@db.command("check")
@friendly
def db_check() -> None:
    """Open the store and say what is in it."""
    from orchestrator.store.schema import REVISION

    store = open_store()
    store.check_whole()
    count = sum(store.standing(i).trials for i, _, _ in store.studies())
    where = load_settings().store.rpartition("@")[2]
    typer.echo(f"{where}: schema {REVISION}, {len(store.studies())} studies, {count} trials in their cells")


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
) -> None:
    """Write every table of the store as CSV, or all finished attempts as an archive with digests."""
    from orchestrator.errors import SettingsError

    if (folder is None) == (archive is None):
        raise SettingsError("db export: allowed: a FOLDER for CSV files, or --archive FILE")
    if archive is not None:
        from orchestrator.store.archive import write_archive

        content, digest = write_archive(open_store(), archive, study)
        typer.echo(
            f"{archive}: {counted(content.trials, 'trial')}, {counted(content.attempts, 'finished attempt')}, "
            f"{'1 study' if content.studies == 1 else f'{content.studies} studies'}, content {digest}"
        )
        return
    if study is not None:
        raise SettingsError(
            f"--study {study}: a folder of CSV files has all studies; allowed: with --archive"
        )
    from orchestrator.store.export import export

    assert folder is not None
    for name, count in export(open_store(), folder).items():
        typer.echo(f"{folder / name}.csv: {count} rows")


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
