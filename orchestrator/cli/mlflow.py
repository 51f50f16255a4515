"""Commands that copy to MLflow, and that serve what browsers show of runs and searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import counted, friendly, load_settings, open_store
from orchestrator.cli.output import say
from orchestrator.cli.page import page_of

if TYPE_CHECKING:
    from orchestrator.settings import Settings

app = typer.Typer()
MLFLOW_PORT, SEARCH_PORT = 5000, 8080
TRAINING = "workflowType=machine_learning"  # MLflow opens its view of prompts without it


@app.command()
@friendly
def mirror(
    page: Annotated[
        bool, typer.Option("--page", help="With the page of every study among its artifacts.")
    ] = False,
    register: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--register", metavar="MODEL TRIAL", help="Register a trial's weights as a version of a model."
        ),
    ] = None,
) -> None:
    """Copy everything MLflow does not have yet, and describe every study there anew."""
    from orchestrator.mirror import Mirror
    from orchestrator.report.summary import summarize
    from orchestrator.store.find import find_trial

    settings, store = load_settings(), open_store()
    chosen = None if register is None else str(find_trial(store, register[1]).key)
    copies = Mirror(store, settings.mlflow, f"{settings.runs}/models")
    count = copies.flush(everything=True)
    studies = store.studies()
    for study_id, name, _ in studies:
        pages = {"page.html": page_of(store, settings, name)} if page else {}
        copies.describe(name, summarize(store, study_id, pages))
    typer.echo(f"{counted(count, 'attempt')} mirrored; {counted(len(studies), 'study')} described")
    if register is not None and chosen is not None:
        model = register[0]
        typer.echo(f"model {model}: version {copies.register(model, chosen)}")


@app.command()
@friendly
def ui(
    port: Annotated[
        int | None, typer.Option(help="Port; 5000, or 8080 with --search.", min=1, max=65535)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    search: Annotated[
        bool, typer.Option("--search", help="Serve Optuna's dashboard of the searches instead.")
    ] = False,
) -> None:
    """Serve the MLflow UI of the runs, or the dashboard of the searches."""
    settings = load_settings()
    if search:
        _serve_searches(settings, host, port or SEARCH_PORT)
    else:
        _serve_runs(settings, host, port or MLFLOW_PORT)


def _serve_runs(settings: Settings, host: str, port: int) -> None:
    import os
    import sys

    from orchestrator.errors import SettingsError
    from orchestrator.mirror import without_login
    from orchestrator.mirror.files import make_ready
    from orchestrator.settings import sqlite_path

    uri = settings.mlflow
    if uri.startswith("http"):
        raise SettingsError(
            f"MLFLOW_TRACKING_URI {without_login(uri)}: a server shows these runs already; "
            "open that address in a browser"
        )
    path = sqlite_path(uri)
    if path is not None:
        make_ready(path)
    arguments = ["--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    # its jobs judge what language models say: five processes that import as much as the server does
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    say(f"the runs are at http://{host}:{port}/#/experiments?{TRAINING}")
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments])


def _serve_searches(settings: Settings, host: str, port: int) -> None:
    from orchestrator.errors import SettingsError
    from orchestrator.settings import sqlite_path

    try:
        from optuna_dashboard import run_server
    except ImportError:
        raise SettingsError(
            "--search: Optuna's dashboard is not installed; pip install 'dvta-orch[dashboard]'"
        ) from None
    from orchestrator.search.optuna_storage import open_storage

    path = sqlite_path(settings.optuna)
    if path is not None and not path.exists():
        raise SettingsError(f"--search: no search has run yet ({path} is not there)")
    say(f"the searches are at http://{host}:{port}")
    run_server(open_storage(settings.optuna), host=host, port=port)
