"""The command that draws figures of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import Protocol, StudyName, emit, friendly, load_settings, open_store, pairs
from orchestrator.cli.output import say

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial
    from orchestrator.settings import Settings
    from orchestrator.store import Store


@friendly
def figure(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="curves, classes, confusion, similarity, representations, response, search, skeletons, "
            "ranks; or 4 to 8, as in the paper.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="An image file: .png, .svg, .pdf.")],
    study: StudyName = None,
    table: Annotated[
        str | None, typer.Option("--table", help="The table whose trials are drawn, where there are several.")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="A configuration name: a line each value; of response, the axis."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="NAME=VALUE", help="Only trials that have it.")
    ] = None,
    trial: Annotated[
        str | None,
        typer.Option("--trial", help="confusion, similarity, representations, skeletons: what to look into."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="ROW", help="classes: draw the change from this row.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="curves: loss, accuracy, batch_accuracy, class_accuracy, lr."),
    ] = None,
    plot: Annotated[
        str, typer.Option("--plot", help="search: history, parallel or importances.")
    ] = "history",
    cell: Annotated[
        str | None, typer.Option("--cell", help="search: the cell, where there are several.")
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option(help="Last epoch, or best epoch on the test classes.")
    ] = Protocol.final,
) -> None:
    """Draw a figure of a study or of one trained trial, for a paper's column, at any data."""
    from orchestrator.errors import SettingsError
    from orchestrator.report.figures import Request, draw
    from orchestrator.report.figures.style import ENDINGS

    ending = output.suffix.removeprefix(".")
    if ending not in ENDINGS:
        raise SettingsError(f"--output {output}: allowed endings: {', '.join('.' + e for e in ENDINGS)}")
    store, settings = open_store(), load_settings()
    request = Request(
        name=name,
        store=store,
        settings=settings,
        study=study,
        table=table,
        rows=rows,
        where=pairs("--where", where),
        against=against,
        metric=metric,
        protocol=protocol,
        plot=plot,
        cell=cell,
        trained=None if trial is None else lambda: _trained(store, settings, trial),
    )
    emit(draw(request).write(ending), output)
    typer.echo(str(output))


def _trained(store: Store, settings: Settings, name: str) -> TrainedTrial:
    from orchestrator.execute.trained import load_trained
    from orchestrator.store.find import load_trial

    return load_trained(store, settings, load_trial(store, name), say)
