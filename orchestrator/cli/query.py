"""The command that reads the store with one's own SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, open_store
from orchestrator.cli.output import AsCsv, AsJson, print_csv, print_json, refuse_both


@friendly
def query(
    sql: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT.")],
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Read the store with SQL: views results, epochs and cells, described in docs/results.md."""
    from orchestrator.store.query import query as run

    refuse_both(as_json, as_csv)
    columns, rows = run(open_store(), sql)
    if as_json:
        _check_names(columns)
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif as_csv:
        print_csv(columns, rows)
    else:
        from tabulate import tabulate

        shown = [["" if value is None else value for value in row] for row in rows]
        typer.echo(tabulate(shown, headers=columns, tablefmt="simple", disable_numparse=True))


def _check_names(columns: Sequence[str]) -> None:
    """Check that no two columns have one name, of which an object of JSON holds the last alone.

    Raises:
        SettingsError: two do.
    """
    from orchestrator.errors import SettingsError

    twice = next((name for name, count in Counter(columns).items() if count > 1), None)
    if twice is not None:
        raise SettingsError(
            f"--json: two columns are called {twice!r}; allowed: names that differ, as AS gives them: "
            "SELECT … AS other"
        )
