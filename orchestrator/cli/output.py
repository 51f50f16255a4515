"""What goes where: results to standard output as text, JSON or CSV; talk to standard error."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; its schema is in docs/schemas.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
#: set by ``dvta-orch --quiet``: errors only on standard error
quiet = False
#: set by ``dvta-orch --verbose``: every trial as it starts and ends, and what the program notes
verbose = False


def say(line: str) -> None:
    """Print a line of talk to standard error; ``--quiet`` drops it."""
    if not quiet:
        typer.echo(line, err=True)


def set_talk(*, less: bool, more: bool) -> None:
    """Take ``--quiet`` and ``--verbose``, for talk and for the logs of this program.

    Raises:
        SettingsError: both are given.
    """
    global quiet, verbose
    refuse_both(less, more, ("--quiet", "--verbose"))
    quiet, verbose = less, more
    level = logging.ERROR if less else logging.INFO if more else logging.NOTSET
    for name in ("dvta", "orchestrator"):
        logging.getLogger(name).setLevel(level)
    if more:
        logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stderr)


def refuse_both(one: bool, other: bool, flags: tuple[str, str] = ("--json", "--csv")) -> None:
    """Refuse two flags at once.

    Raises:
        SettingsError: both are given.
    """
    if one and other:
        from orchestrator.errors import SettingsError

        raise SettingsError(f"{', '.join(flags)}: allowed: one of them")


def refuse_alone(one: bool, other: bool, flags: tuple[str, str]) -> None:
    """Refuse a flag that does nothing without another.

    Raises:
        SettingsError: the first is given without the second.
    """
    if one and not other:
        from orchestrator.errors import SettingsError

        raise SettingsError(f"{flags[0]}: does nothing without {flags[1]}; allowed: both of them, or neither")


def print_json(answer: Any) -> None:
    """Print a record of :mod:`orchestrator.cli.answers` as JSON."""
    typer.echo(json.dumps(plain(answer), indent=1, ensure_ascii=False, allow_nan=False))


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV under a line of column names; what is None stays empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def plain(value: Any) -> Any:
    """Return a value as JSON has it; a number that is not finite, which JSON lacks, becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [plain(content) for content in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
