"""The command line. Heavy imports happen inside commands, so that ``--help`` is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import (
    common,
    data,
    database,
    encode,
    figure,
    judge,
    page,
    predict,
    prepare,
    query,
    report,
    reproduce,
    trials,
)  # fmt: skip
from orchestrator.cli.common import ExecutorKind, Source, counted, friendly, load_settings, open_store, pairs

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.store import Store
    from orchestrator.study.plan import Plan
    from orchestrator.study.study import Study

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Sweeps, tables and provenance for zero-shot skeleton action recognition.",
)

Spec_ = Annotated[Path, typer.Argument(metavar="SPEC", help="A YAML spec.")]
Profile = Annotated[str | None, typer.Option("--profile", help="A profile of the spec.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Force a value everywhere.")
]
Source_ = Annotated[
    Source | None, typer.Option("--source", help="Real data only, simulated, or what is there.")
]
Retry = Annotated[bool, typer.Option("--retry", help="Run failed trials again.")]
Redo = Annotated[bool, typer.Option("--redo", help="Run done trials again.")]


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks instead of a path to them.")
    ] = False,
) -> None:
    """Take what holds for every command."""
    common.debugging = debug


@app.command()
@friendly
def sweep(
    spec: Spec_,
    profile: Profile = None,
    set_: Set = None,
    source: Source_ = None,
    executor: Annotated[ExecutorKind, typer.Option(help="Ray Tune, or this process.")] = ExecutorKind.ray,
    address: Annotated[str, typer.Option(help="Ray cluster: local, auto or HOST:PORT.")] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    retry: Retry = False,
    redo: Redo = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")] = False,
) -> None:
    """Run what a spec asks for and the store does not have yet; again after a crash to go on."""
    from orchestrator.cli.progress import SweepProgress
    from orchestrator.store import Store
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import read_study, save_study
    from orchestrator.sweep import check_study, make_executor, run_study

    settings = load_settings()
    study = read_study(spec, settings, profile=profile, overrides=pairs(set_), source=source)
    check_study(study, settings)
    store = existing(settings)
    plan = plan_study(study, store, retry=retry, redo=redo)
    print_plan(study, plan)
    if dry_run:
        return
    if not plan.to_run and not plan.leased and study.spec.search is None:
        save_study(study, store or Store.open(settings.store))
        raise typer.Exit(1 if plan.failed else 0)
    # an address or resources that are wrong are refused before anything is written
    with make_executor(executor, address, study.spec) as runner:
        store = store or Store.open(settings.store)
        code = run_study(study, plan, store, settings, runner, SweepProgress(), fail_fast=fail_fast)
    raise typer.Exit(code)


@app.command()
@friendly
def plan(
    spec: Spec_,
    profile: Profile = None,
    set_: Set = None,
    source: Source_ = None,
    retry: Retry = False,
    redo: Redo = False,
) -> None:
    """Print what a sweep would do."""
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import read_study
    from orchestrator.sweep import check_study

    settings = load_settings()
    study = read_study(spec, settings, profile=profile, overrides=pairs(set_), source=source)
    check_study(study, settings)
    print_plan(study, plan_study(study, existing(settings), retry=retry, redo=redo))


@app.command()
@friendly
def profile(
    methods: Annotated[
        list[str] | None, typer.Argument(metavar="[METHOD]...", help="All without any.")
    ] = None,
) -> None:
    """Measure parameters, multiply-accumulates and samples per second of the methods, here and now."""
    from orchestrator.cli.progress import SweepProgress
    from orchestrator.store import Store
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import profile_study
    from orchestrator.sweep import make_executor, run_study

    settings = load_settings()
    study = profile_study(settings, methods)
    store = Store.open(settings.store)
    plan = plan_study(study, store, redo=True, retry=True)
    with make_executor("inline", "local", study.spec) as runner:
        code = run_study(study, plan, store, settings, runner, SweepProgress())
    typer.echo("see them with: dvta-orch report --table 9 --study profile")
    raise typer.Exit(code)


@app.command()
@friendly
def mirror() -> None:
    """Copy everything MLflow does not have yet."""
    from orchestrator.mirror import Mirror

    count = Mirror(open_store(), load_settings().mlflow).flush(everything=True)
    typer.echo(f"{counted(count, 'attempt')} mirrored")


@app.command()
@friendly
def ui(
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the MLflow UI of the runs."""
    import os

    from orchestrator.errors import SettingsError
    from orchestrator.mirror import without_login
    from orchestrator.mlflow_files import make_ready
    from orchestrator.settings import sqlite_path

    uri = load_settings().mlflow
    if uri.startswith("http"):
        raise SettingsError(
            f"MLFLOW_TRACKING_URI {without_login(uri)}: a server shows these runs already; "
            "open that address in a browser"
        )
    path = sqlite_path(uri)
    if path is not None:
        make_ready(path)
    command = [
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    os.execv(sys.executable, [sys.executable, *command])


@app.command()
@friendly
def doctor() -> None:
    """Say what is wrong with data, store, MLflow, GPU and versions, one line each."""
    from orchestrator.cli.doctor import examine

    lines = examine(load_settings())
    for good, line in lines:
        typer.echo(f"{'ok   ' if good else 'WRONG'} {line}")
    raise typer.Exit(0 if all(good for good, _ in lines) else 1)


def existing(settings: Settings) -> Store | None:
    """Return the store where there is one; looking at a plan creates nothing."""
    from orchestrator.settings import sqlite_path
    from orchestrator.store import Store

    path = sqlite_path(settings.store)
    if path is not None and not path.exists():
        return None
    return Store.open(settings.store, create=False)


def print_plan(study: Study, plan: Plan) -> None:
    """Print what a sweep would do."""
    from orchestrator.cli.progress import duration

    search = study.spec.search
    if search is not None:
        cells, seeds = plan.cells, len(study.spec.seeds)
        repeated = f", {search.repeats} times" if search.repeats > 1 else ""
        most = cells * search.repeats * (search.trials + seeds)
        lines = [
            f"search: {counted(cells, 'cell')}, {counted(search.trials, 'candidate')} in each ({search.sampler}, {search.objective})"
            f"{repeated}, then the best of each with {seeds} seeds: {most} trials at most"
        ]
    else:
        known = plan.seconds is not None and plan.to_run
        estimate = f", about {duration(plan.seconds or 0)} on one worker" if known else ""
        lines = [
            f"{counted(plan.cells, 'cell')}, {counted(plan.distinct, 'distinct trial')} ({counted(plan.seeds, 'seed')}): "
            f"{len(plan.to_run)} to run, "
            f"{len(plan.done)} done, {len(plan.failed)} failed, {len(plan.leased)} leased{estimate}",
            *([_encoders(plan.encoders)] if plan.encoders else []),
        ]
    if plan.simulated:
        lines.append("visual features: simulated (no real ones in the data root; --source real forbids this)")
    lines += [f"{count} cannot be filled: {reason}" for reason, count in plan.missing.items()]
    for line in lines:
        typer.echo(line)


def _encoders(count: int) -> str:
    one, many = "1 of them trains a visual encoder", f"{count} of them train visual encoders"
    return one if count == 1 else many


app.command()(predict.predict)
app.command()(query.query)
app.add_typer(report.app)
app.command()(judge.judge)
app.command()(reproduce.reproduce)
app.command()(figure.figure)
app.command()(page.page)
app.add_typer(trials.app)
data.data.command()(prepare.prepare)
data.data.command()(prepare.joints)
data.data.command()(prepare.check)
app.add_typer(data.data, name="data")
app.add_typer(encode.encode, name="encode")
app.add_typer(database.db, name="db")
