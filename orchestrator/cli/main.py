"""The command line. Heavy imports happen inside commands, so that ``--help`` is instant."""

from __future__ import annotations

import atexit
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import (
    common,
    data,
    database,
    encode,
    examples,
    export,
    figure,
    judge,
    mlflow,
    page,
    planned,
    predict,
    prepare,
    query,
    report,
    reproduce,
    show,
    status,
    trials,
)  # fmt: skip
from orchestrator.cli.common import ExecutorKind, Source, friendly, load_settings, pairs
from orchestrator.cli.output import AsJson, print_json, refuse_alone, set_talk

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.store import Store

# most of a command's objects are imported code: looking through them again and again, and once more at the end,
# takes seconds where there is much of it
gc.set_threshold(50_000, 20, 50)
atexit.register(gc.freeze)

app = typer.Typer(
    cls=common.Program,
    no_args_is_help=True,
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


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dvta-orch {version('dvta-orch')}")
        raise typer.Exit


@app.callback()
@friendly
def main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks instead of a path to them.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say when each trial starts and ends, and what is noted.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Take what holds for every command."""
    common.debugging = debug
    set_talk(less=quiet, more=verbose)


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
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print the plan as JSON.")] = False,
) -> None:
    """Run what a spec asks for and the store does not have yet; again after a crash to go on."""
    from orchestrator.cli.progress import SweepProgress
    from orchestrator.store import Store
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import read_study, save_study
    from orchestrator.sweep import check_study, make_executor, run_study

    refuse_alone(as_json, dry_run, ("--json", "--dry-run"))
    settings = load_settings()
    study = read_study(spec, settings, profile=profile, overrides=pairs("--set", set_), source=source)
    check_study(study, settings)
    store = existing(settings)
    plan = plan_study(study, store, retry=retry, redo=redo)
    if dry_run:
        planned.show(planned.answer(study, plan), as_json=as_json)
        return
    planned.talk(planned.answer(study, plan))
    if not plan.to_run and not plan.leased and study.spec.search is None:
        store = store or Store.open(settings.store)
        save_study(study, store)
        code = 1 if plan.failed else 0
        planned.say_what_next(store, study.spec.study, code)
        raise typer.Exit(code)
    # an address or resources that are wrong are refused before anything is written
    with make_executor(executor, address, study.spec) as runner:
        store = store or Store.open(settings.store)
        code = run_study(study, plan, store, settings, runner, SweepProgress(), fail_fast=fail_fast)
    planned.say_what_next(store, study.spec.study, code)
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
    as_json: AsJson = False,
) -> None:
    """Print what a sweep would do."""
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import read_study
    from orchestrator.sweep import check_study

    settings = load_settings()
    study = read_study(spec, settings, profile=profile, overrides=pairs("--set", set_), source=source)
    check_study(study, settings)
    found = plan_study(study, existing(settings), retry=retry, redo=redo)
    planned.show(planned.answer(study, found), as_json=as_json)


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
    planned.say_what_next(store, study.spec.study, code)
    raise typer.Exit(code)


@app.command()
@friendly
def doctor(as_json: AsJson = False) -> None:
    """Say what is wrong with data, store, MLflow, GPU and versions, one line each."""
    from orchestrator.cli.answers import Doctor, Finding
    from orchestrator.cli.doctor import examine

    findings = tuple(Finding(good, line) for good, line in examine(load_settings()))
    good = all(found.good for found in findings)
    if as_json:
        print_json(Doctor(good, findings))
    else:
        for found in findings:
            typer.echo(f"{'ok   ' if found.good else 'WRONG'} {found.text}")
    raise typer.Exit(0 if good else 1)


def existing(settings: Settings) -> Store | None:
    """Return the store where there is one; looking at a plan creates nothing."""
    from orchestrator.settings import sqlite_path
    from orchestrator.store import Store

    path = sqlite_path(settings.store)
    if path is not None and not path.exists():
        return None
    return Store.open(settings.store, create=False)


app.command()(predict.predict)
app.command()(export.export)
app.command()(query.query)
app.add_typer(report.app)
app.add_typer(mlflow.app)
app.command()(judge.judge)
app.command()(reproduce.reproduce)
app.command()(figure.figure)
app.command()(page.page)
app.command()(status.status)
app.command()(trials.trials)
app.command()(show.show)
data.data.command()(prepare.prepare)
data.data.command()(prepare.joints)
data.data.command()(prepare.check)
app.add_typer(data.data, name="data")
app.add_typer(encode.encode, name="encode")
app.add_typer(database.db, name="db")
examples.add_examples(app)
