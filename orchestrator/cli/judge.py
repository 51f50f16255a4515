"""The command that says what may be concluded from a study."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import (
    Output,
    StudyName,
    Written,
    emit,
    friendly,
    names_of,
    pairs,
)
from orchestrator.cli.report import style_of
from orchestrator.cli.stores import Stores, open_stores

if TYPE_CHECKING:
    from orchestrator.records import CellValue


Judged = enum.StrEnum("Judged", ["final", "validation", "best"])


@friendly
def judge(
    study: StudyName = None,
    table: Annotated[
        str | None,
        typer.Option("--table", help="Judge the rows of a table, 1 to 9, gzsl, leaderboard or end_to_end."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="Configuration names for the rows, with commas; method without it."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="NAME=VALUE", help="Only trials that have it.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="ROW", help="Compare with this row; without it, all pairs."),
    ] = None,
    quantity: Annotated[
        str, typer.Option("--quantity", help="accuracy, or a result such as gzsl_harmonic or gzsl_ausuc.")
    ] = "accuracy",
    protocol: Annotated[
        Judged, typer.Option(help="Last epoch, best on validation classes, or best on the test classes.")
    ] = Judged.final,
    rope: Annotated[
        float, typer.Option("--rope", min=0.0, help="Differences up to so many points are equivalent.")
    ] = 1.0,
    format_: Written = None,
    stores: Stores = None,
    output: Output = None,
) -> None:
    """Say which rows differ over class splits, how sure that is, and what cannot be said."""
    from orchestrator.errors import SettingsError
    from orchestrator.records import ASIDE
    from orchestrator.report.figures.series import done, kept
    from orchestrator.report.judging.judgement import judge as judged
    from orchestrator.report.judging.show import show
    from orchestrator.report.table import choose
    from orchestrator.report.validation import values_under
    from orchestrator.tables import layout
    from orchestrator.trial import classes_measured

    if table is not None and rows is not None:
        raise SettingsError("--rows: a table has its own rows; allowed: --table or --rows")
    style = style_of(format_, output)
    store = open_stores(stores)
    shape = layout(table) if table is not None else None
    study_id, name = store.find_study(study, shape.name if shape else None)
    values = values_under(store, (study_id, name), shape.name if shape else None, protocol)
    values = kept([v for v in values if v.table not in ASIDE], pairs("--where", where))
    found = _by_label(values, None if shape else names_of(rows or "method"))
    if not found:
        raise SettingsError(f"study {name!r} has no done trials to judge{' there' if where else ''}")
    if against is not None:
        against = choose("--against ROW", against, list(found))
    trials = done(values)
    counts = (
        store.class_counts([v.attempt_id for v in trials if v.attempt_id is not None], protocol)
        if quantity == "accuracy"
        else {}
    )
    judgement = judged(
        found,
        study=name,
        protocol=protocol,
        quantity=quantity,
        against=against,
        rope=rope,
        counts=counts,
        measured_on=classes_measured(trials[0].config),
    )
    emit(show(judgement, style), output)


def _by_label(values: list[CellValue], names: list[str] | None) -> dict[str, list[CellValue]]:
    """Return the done trials of every row: of the table's, or of the values of configuration names."""
    from dvta.errors import did_you_mean
    from orchestrator.errors import SettingsError
    from orchestrator.report.figures.series import done
    from orchestrator.tables import shown_row
    from orchestrator.trial import format_value

    rows: dict[str, list[CellValue]] = {}
    if names is None:
        for value in values:
            rows.setdefault(shown_row(value.row), []).append(value)
        return {row: trials for row, all_ in rows.items() if (trials := done(all_))}
    trials = done(values)
    known = sorted({name for v in trials for name in v.config})
    for name in names:
        if trials and name not in known:
            raise SettingsError(
                f"--rows {name}: no trial has it{did_you_mean(name, known)}; allowed: {', '.join(known)}"
            )
    for value in trials:
        rows.setdefault(" ".join(format_value(value.config.get(n)) for n in names), []).append(value)
    return rows
