"""The command that writes a study's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import Protocol, StudyName, friendly


@friendly
def page(
    output: Annotated[Path, typer.Option("--output", help="Where the page goes.")] = Path("page.html"),
    study: StudyName = None,
    protocol: Annotated[
        Protocol, typer.Option(help="Last epoch, or best epoch on the test classes.")
    ] = Protocol.final,
) -> None:
    """Write one HTML page with every table of a study."""
