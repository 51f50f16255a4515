"""The command line. Heavy imports happen inside commands, so that ``--help`` is instant."""

from __future__ import annotations

import enum
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.plan import Plan
    from orchestrator.settings import Settings
    from orchestrator.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Sweeps, tables and provenance for zero-shot skeleton action recognition.",
)
data = typer.Typer(no_args_is_help=True, help="Look after the data root.")
db = typer.Typer(no_args_is_help=True, help="Look after the result store.")
app.add_typer(data, name="data")
app.add_typer(db, name="db")


class Source(enum.StrEnum):
    """Where visual features come from."""

    auto = "auto"
    real = "real"
    simulated = "simulated"


class Format(enum.StrEnum):
    """How a report is written."""

    rich = "rich"
    md = "md"
    latex = "latex"
    csv = "csv"
    json = "json"
    html = "html"


Protocol = enum.StrEnum("Protocol", ["final", "best"])
ExecutorKind = enum.StrEnum("ExecutorKind", ["ray", "inline"])
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
StudyName = Annotated[str | None, typer.Option("--study", help="A study by name; the newest without it.")]


def friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a person's mistake into one message and exit code 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from dvta.errors import DvtaError

        try:
            return command(*args, **kwargs)
        except DvtaError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    return run


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
    from orchestrator import sweep as sweeps
    from orchestrator.store import Store

    settings = _settings()
    study = sweeps.read_study(spec, settings, profile=profile, overrides=_pairs(set_), source=source)
    if dry_run:
        _print_plan(sweeps.plan_study(study, _existing(settings), retry=retry, redo=redo))
        return
    store = Store.open(settings.store)
    plan = sweeps.plan_study(study, store, retry=retry, redo=redo)
    _print_plan(plan)
    runner = sweeps.make_executor(executor, address, study.spec)
    if not plan.to_run and not plan.leased and study.spec.search is None:
        store.save_study(study.spec.study, study.spec.text, study.slots)
        raise typer.Exit(1 if plan.failed else 0)
    code = sweeps.run_study(study, plan, store, settings, runner, sweeps.console(), fail_fast=fail_fast)
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
    from orchestrator import sweep as sweeps

    settings = _settings()
    study = sweeps.read_study(spec, settings, profile=profile, overrides=_pairs(set_), source=source)
    _print_plan(sweeps.plan_study(study, _existing(settings), retry=retry, redo=redo))


@app.command()
@friendly
def report(
    table: Annotated[int | None, typer.Option("--table", help="A table of the paper, 1 to 8.")] = None,
    rows: Annotated[str | None, typer.Option("--rows", help="A configuration name for the rows.")] = None,
    cols: Annotated[
        str | None, typer.Option("--cols", help="Configuration names for the columns, with commas.")
    ] = None,
    study: StudyName = None,
    format_: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.rich,
    protocol: Annotated[
        Protocol, typer.Option(help="Last epoch, or best epoch on the test classes.")
    ] = Protocol.final,
    output: Annotated[Path | None, typer.Option("--output", help="Write to a file.")] = None,
) -> None:
    """Print a table of results: a table of the paper, a pivot, or a study's own grid."""
    from rich.console import Console

    from orchestrator.report import render
    from orchestrator.report import table as tables
    from orchestrator.tables import layout

    store = _store()
    shape = layout(table) if table is not None else None
    study_id, name = store.find_study(study, shape.name if shape else None)
    if rows or cols:
        values = store.cells(study_id, shape.name if shape else None)
        _check_names([rows, *(cols or "").split(",")], values)
        built = tables.pivot(
            values, rows or "method", [c for c in (cols or "").split(",") if c], protocol=protocol, study=name
        )
    else:
        values = store.cells(study_id, shape.name if shape else "grid")
        built = tables.build_table(values, protocol=protocol, study=name, layout=shape)
    if format_ is Format.rich and output is None:
        render.print_rich(built, Console(highlight=False))
        return
    written = render.render(built, "md" if format_ is Format.rich else format_)
    if output is None:
        typer.echo(written, nl=False)
    else:
        output.write_text(written, encoding="utf-8")


@app.command()
@friendly
def status() -> None:
    """Print how every study stands; works while a sweep runs."""
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    store = _store()
    shown = Table("study", "trials", "done", "running", "interrupted", "failed", "to run")
    for study_id, name, _ in store.studies():
        keys = {v.key for v in store.cells(study_id) if v.key}
        states = Counter(s.state.value for s in store.statuses(keys).values())
        rest = len(keys) - sum(states.values())
        counts = [states[s] for s in ("done", "running", "interrupted", "failed")]
        shown.add_row(name, *map(str, (len(keys), *counts, rest)))
    Console(highlight=False).print(shown)


@app.command()
@friendly
def trials(
    filter_: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Such as dataset=ntu60.")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
) -> None:
    """List stored trials."""
    import yaml
    from rich.console import Console
    from rich.table import Table

    where = {k: yaml.safe_load(v) for k, v in _pairs(filter_).items()}
    shown = Table("key", "trial", "state", "final", "best")
    for value in _store().trials(where, limit):
        name = f"{value.method}[dataset={value.dataset},seed={value.seed},split={value.split}]"
        numbers = [f"{100 * x:.2f}" if x is not None else "" for x in (value.final, value.best)]
        mark = " (simulated)" if value.source == "simulated" else ""
        shown.add_row(
            (value.key or "")[:10], name.replace("[", "\\[") + mark, value.state or "not run", *numbers
        )
    Console(highlight=False).print(shown)


@app.command()
@friendly
def show(trial: Annotated[str, typer.Argument(help="A key's beginning, or a printed name.")]) -> None:
    """Print everything about one trial."""
    import yaml
    from rich.console import Console

    from orchestrator.errors import StoreError

    where: dict[str, Any] = {"key": trial}
    if "[" in trial:
        method, _, inside = trial.rstrip("]").partition("[")
        where = {"method": method, **{k: yaml.safe_load(v) for k, v in _pairs(inside.split(",")).items()}}
    found = _store().trials(where)
    if len(found) != 1:
        names = ", ".join((v.key or "")[:10] for v in found[:8])
        raise StoreError(
            f"trial {trial!r}: {len(found)} match{': ' + names if names else ''}; see dvta-orch trials"
        )
    value = found[0]
    out = Console(highlight=False)
    about = {
        "key": value.key, "source": value.source, "state": value.state, "final accuracy": value.final,
        "best accuracy": value.best, "seconds": value.seconds, "commit": value.commit,
        "data digest": value.data_digest, "MLflow run": value.mlflow_run_id, "error": value.error,
    }  # fmt: skip
    for name, content in {**about, **value.config}.items():
        if content is not None:
            out.print(f"{name:22} {content}", markup=False)


@app.command()
@friendly
def mirror() -> None:
    """Copy everything MLflow does not have yet."""
    from orchestrator.mirror import Mirror

    typer.echo(f"{Mirror(_store(), _settings().mlflow).flush()} attempts mirrored")


@app.command()
@friendly
def ui(
    port: Annotated[int, typer.Option(help="Port.")] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the MLflow UI of the runs."""
    import os

    command = [
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        _settings().mlflow,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    os.execv(sys.executable, [sys.executable, *command])


@data.command("import")
@friendly
def data_import(
    kind: Annotated[str, typer.Argument(help="cmu, synse, dvta or text.")],
    path: Annotated[Path, typer.Argument(help="The folder to import.")],
    dataset: Annotated[str, typer.Option(help="text: the data set.")] = "ntu120",
    encoder: Annotated[str, typer.Option(help="text: the encoder's id.")] = "clip",
) -> None:
    """Copy features you have into the data root, after checking them."""
    from dvta import data_import as imports
    from dvta.errors import DataError, did_you_mean

    kinds = ("cmu", "synse", "dvta", "text")
    if kind not in kinds:
        raise DataError(f"KIND: {kind!r} is unknown{did_you_mean(kind, kinds)}; allowed: {', '.join(kinds)}")
    root = _settings().data
    if kind == "text":
        written = imports.import_text(path, root, dataset, encoder)
    else:
        written = imports.import_features(kind, path, root)
    typer.echo(f"{len(written)} files written under {root}")


@data.command("list")
@friendly
def data_list() -> None:
    """Print what the data root has, and where to get what it lacks."""
    from dvta import datasets

    root = _settings().data
    for name in datasets.names():
        found = sorted(p.parent for p in (root / name / "features").glob("*/*/train.npy"))
        for folder in found:
            typer.echo(f"{name}: {folder.relative_to(root)}")
        if not found:
            typer.echo(f"{name}: no features under {root / name}; {datasets.get(name).where}")


@data.command("check")
@friendly
def data_check() -> None:
    """Read and check every feature file of the data root."""
    from dvta import datasets, features
    from dvta.errors import DvtaError

    root, wrong, count = _settings().data, 0, 0
    for name in datasets.names():
        for split in datasets.get(name).splits:
            for train in sorted((root / name / "features").glob(f"*/{split.replace('/', '-')}/train*.npy")):
                if train.stem != "train":
                    continue
                count += 1
                try:
                    features.locate(
                        root, name, split, train.parent.parent.name, "sbert", source="real"
                    ).load()
                except DvtaError as error:
                    wrong += 1
                    typer.echo(f"wrong: {error}", err=True)
    typer.echo(f"{count} feature folders checked, {wrong} wrong")
    raise typer.Exit(2 if wrong else 0)


@db.command("check")
@friendly
def db_check() -> None:
    """Open the store and say what is in it."""
    store = _store()
    typer.echo(
        f"{_settings().store.rpartition('@')[2]}: {len(store.studies())} studies, {len(store.trials())} trials"
    )


@app.command()
@friendly
def doctor() -> None:
    """Say what is wrong with data, store, MLflow, GPU and versions, one line each."""
    from orchestrator.doctor import examine

    lines = examine(_settings())
    for good, line in lines:
        typer.echo(f"{'ok   ' if good else 'WRONG'} {line}")
    raise typer.Exit(0 if all(good for good, _ in lines) else 1)


def _settings() -> Settings:
    from orchestrator.settings import Settings

    return Settings.load()


def _store() -> Store:
    from orchestrator.store import Store

    return Store.open(_settings().store, create=False)


def _existing(settings: Settings) -> Store | None:
    """Return the store where there is one; looking at a plan creates nothing."""
    from orchestrator.errors import StoreError
    from orchestrator.store import Store

    if (
        settings.store.startswith("sqlite:///")
        and not Path(settings.store.removeprefix("sqlite:///")).exists()
    ):
        return None
    try:
        return Store.open(settings.store, create=False)
    except StoreError:
        raise


def _pairs(values: list[str] | None) -> dict[str, str]:
    from orchestrator.errors import SettingsError

    pairs = {}
    for value in values or []:
        name, sign, content = value.partition("=")
        if not sign or not name:
            raise SettingsError(f"{value!r}: allowed: NAME=VALUE")
        pairs[name.strip()] = content
    return pairs


def _check_names(names: list[str | None], values: Any) -> None:
    from dvta.errors import did_you_mean
    from orchestrator.errors import SettingsError

    known = sorted({k for v in values for k in v.config})
    for name in names:
        if name and name not in known:
            raise SettingsError(
                f"{name!r} is unknown{did_you_mean(name, known)}; allowed: {', '.join(known)}"
            )


def _print_plan(plan: Plan) -> None:
    from orchestrator.progress import duration

    estimate = (
        "" if plan.seconds is None or not plan.to_run else f", about {duration(plan.seconds)} on one worker"
    )
    lines = [
        f"{plan.cells} cells, {plan.distinct} distinct trials ({plan.seeds} seeds): {len(plan.to_run)} to run, {len(plan.done)} done, {len(plan.failed)} failed, {len(plan.leased)} leased{estimate}"
    ]
    if plan.simulated:
        lines.append("visual features: simulated (no real ones in the data root; --source real forbids this)")
    lines += [f"{count} cannot be filled: {reason}" for reason, count in plan.missing.items()]
    for line in lines:
        typer.echo(line)
