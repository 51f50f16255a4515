"""The command that reads the store with one's own SQL."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.common import friendly, open_store


@friendly
def query(
    sql: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """Read the store with SQL: views results, epochs and cells, described in docs/results.md.

    Example: dvta-orch query "SELECT method, split, AVG(final) FROM results GROUP BY 1, 2"
    """
    import csv
    import json
    import sys

    from orchestrator.store.query import query as run

    columns, rows = run(open_store(), sql)
    if as_json:
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=1, default=str))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        from tabulate import tabulate

        shown = [["" if value is None else value for value in row] for row in rows]
        typer.echo(tabulate(shown, headers=columns, tablefmt="simple", disable_numparse=True))
