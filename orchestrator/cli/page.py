"""The command that writes a study's page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import Protocol, StudyName, counted, emit, friendly, load_settings, open_store

if TYPE_CHECKING:
    from orchestrator.report.page.data import StudyData
    from orchestrator.settings import Settings
    from orchestrator.store import Store

UI = "http://127.0.0.1:5000"  # where dvta-orch ui listens


@friendly
def page(
    output: Annotated[Path, typer.Option("--output", help="Where the page goes.")] = Path("page.html"),
    study: StudyName = None,
    protocol: Annotated[
        Protocol, typer.Option(help="The protocol it opens with; the page has both.")
    ] = Protocol.final,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="With pictures or without.")] = True,
    watch: Annotated[bool, typer.Option("--watch", help="Write it anew until the study has ended.")] = False,
    every: Annotated[float, typer.Option("--every", min=1.0, help="Seconds between two looks.")] = 10.0,
) -> None:
    """Write one HTML page of a study: tables, curves, figures, failures, provenance; it needs no network."""
    settings, store = load_settings(), open_store()
    while True:
        data = _read(store, settings, study)
        _write(store, settings, data, output, protocol, figures, watch)
        if not watch or data.finished:
            return
        time.sleep(every)


def page_of(store: Store, settings: Settings, study: str) -> str:
    """Return the page of a study with its pictures, as HTML."""
    from orchestrator.report.page import study_page
    from orchestrator.report.page.pictures import pictures

    data = _read(store, settings, study)
    return study_page(data, pictures(store, settings, data.name), protocol=Protocol.final)


def _read(store: Store, settings: Settings, study: str | None) -> StudyData:
    from orchestrator.mirror import without_login
    from orchestrator.report.page.data import collect

    uri = settings.mlflow
    return collect(store, study, without_login(uri) if uri.startswith("http") else UI)


def _write(
    store: Store,
    settings: Settings,
    data: StudyData,
    output: Path,
    protocol: str,
    figures: bool,
    watched: bool,
) -> None:
    from orchestrator.report.page import study_page
    from orchestrator.report.page.pictures import pictures

    drawn = pictures(store, settings, data.name) if figures else []
    emit(study_page(data, drawn, protocol=protocol, watched=watched), output)
    counts = data.content["about"]["counts"]
    stands = ", ".join(f"{n} {state}" for state, n in counts.items())
    typer.echo(
        f"{output}: {counted(data.tables, 'table')}, {counted(len(drawn), 'figure')}; trials: {stands}"
    )
