"""The command that runs a table of published numbers and says which of them come out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.common import (
    ExecutorKind,
    Output,
    Source,
    Written,
    counted,
    emit,
    friendly,
    load_settings,
    pairs,
)
from orchestrator.cli.report import style_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.report.judging.verdicts import Verdict
    from orchestrator.spec.model import Spec
    from orchestrator.store import Store
    from orchestrator.study.study import Study
    from orchestrator.tables import Cell

EXPERIMENTS = Path("experiments")  # in the project's folder
SHIPPED = EXPERIMENTS / "base.yaml"


@friendly
def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="1 to 9 or leaderboard, swept as experiments/ has it; or a spec with tables.",
        ),
    ],
    profile: Annotated[str | None, typer.Option("--profile", help="A profile of the spec.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Force a value everywhere.")
    ] = None,
    source: Annotated[
        Source | None, typer.Option("--source", help="Real data only, simulated, or what is there.")
    ] = None,
    executor: Annotated[ExecutorKind, typer.Option(help="Ray Tune, or this process.")] = ExecutorKind.ray,
    address: Annotated[str, typer.Option(help="Ray cluster: local, auto or HOST:PORT.")] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and what could be compared, and stop.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed trials again.")] = False,
    format_: Written = None,
    output: Output = None,
) -> None:
    """Sweep a table and give each published number a verdict: inside, outside or not comparable, and why.

    Exit codes: 0 all that compare are inside, 4 one is outside, 5 none compares, 1 trials failed.
    """
    from orchestrator.cli import planned
    from orchestrator.cli.main import existing
    from orchestrator.cli.progress import SweepProgress
    from orchestrator.report.judging.verdicts import exit_code, show, summary
    from orchestrator.store import Store
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import read_study, save_study
    from orchestrator.sweep import check_study, make_executor, run_study

    style = style_of(format_, output)
    settings = load_settings()
    study = read_study(
        spec_of(table), settings, profile=profile, overrides=pairs("--set", set_), source=source
    )
    _check_tables(study.spec)
    check_study(study, settings)
    store = existing(settings)
    plan = plan_study(study, store, retry=retry)
    planned.talk(planned.answer(study, plan))
    if dry_run:
        _print_foreseen(study)
        return
    if plan.to_run or plan.leased:
        with make_executor(executor, address, study.spec) as runner:
            store = store or Store.open(settings.store)
            code = run_study(study, plan, store, settings, runner, SweepProgress())
    else:
        store = store or Store.open(settings.store)
        save_study(study, store)
        code = 1 if plan.failed else 0
    if code == 130:
        raise typer.Exit(code)
    found = _verdicts(study, store)
    emit(show(found, study.spec.study, style), output)
    if output is not None:
        typer.echo(summary(found))
    raise typer.Exit(code or exit_code(found))


def spec_of(table: str) -> Path:
    """Return the spec of a table's name, or the file that was given.

    Raises:
        SettingsError: there is no such file.
    """
    from dvta.errors import did_you_mean
    from orchestrator.errors import SettingsError
    from orchestrator.tables import TABLES

    if table.endswith((".yaml", ".yml")):
        return Path(table)
    name, published = f"table{table}" if table.isdigit() else table, (*TABLES, "leaderboard")
    if name not in published:
        raise SettingsError(
            f"TABLE {table}: is no table with published numbers{did_you_mean(name, published)}; allowed: "
            f"1 to 9, leaderboard, or a spec with tables, such as {EXPERIMENTS / 'quickstart.yaml'}"
        )
    path = EXPERIMENTS / f"{name}.yaml"
    if not path.is_file():
        raise SettingsError(
            f"TABLE {table}: {path} is not here; run it in the project's folder, or give a spec with tables: [{table}]"
        )
    return path


def _check_tables(spec: Spec) -> None:
    from orchestrator.errors import SettingsError

    if spec.search is not None or not spec.tables:
        has = "a search, whose winners nobody published" if spec.search is not None else "no tables"
        raise SettingsError(f"study {spec.study!r} has {has}; allowed: a spec with tables")


def settings_of(spec: Spec) -> Callable[[Cell], str | None]:
    """Return what says why trials of a cell are not trained as the published ones were; None where they are.

    Overrides of the shipped experiments are the published settings of single methods and data sets.
    """
    from orchestrator.spec.configuration import STAND_IN
    from orchestrator.spec.model import DATA_TYPES, DEFAULTS

    everywhere = {**spec.defaults, **spec.profiles.get(spec.profile or "", {})}
    data = {*DATA_TYPES, *STAND_IN, "preset"} - {"train"}
    published = _shipped_rules() if spec.overrides else []

    def names_of(config: Mapping[str, Any]) -> Iterator[str]:
        own = dict(everywhere)
        for rule in spec.rules_for(config):
            if rule.model_dump() not in published:
                own |= rule.set
        # what a table fixes is what its row says
        own = {name: value for name, value in own.items() if name not in config} | spec.forced
        for name, value in own.items():
            if name not in data and (name, value) != ("train", DEFAULTS["train"]):
                yield name
        if spec.precision != "fp32":
            yield "precision"

    def why(cell: Cell) -> str | None:
        names = dict.fromkeys(name for config in cell.configs for name in names_of(config))
        return f"trained with {', '.join(names)} of the spec, not as published" if names else None

    return why


def _shipped_rules() -> list[dict[str, Any]]:
    """Return the overrides of the shipped experiments, none where they are not here."""
    from orchestrator.spec.yaml import read_yaml

    # beside the program where it is not installed apart from the project's folder
    places = [folder / SHIPPED for folder in (Path(__file__).parents[2], Path())]
    shipped = next((path for path in places if path.is_file()), None)
    rules: list[dict[str, Any]] = read_yaml(shipped).values["overrides"] if shipped else []
    return rules


def _verdicts(study: Study, store: Store) -> list[Verdict]:
    from orchestrator.report.judging.verdicts import verdicts
    from orchestrator.report.table import build_table
    from orchestrator.tables import layout

    study_id, name = store.find_study(study.spec.study)
    found = []
    for number in study.spec.tables:
        shape = layout(number)
        values = store.cells(study_id, shape.name)
        best, final = (
            build_table(values, protocol=protocol, study=name, layout=shape) for protocol in ("best", "final")
        )
        found += verdicts(shape, best, final, settings_of(study.spec))
    return found


def _print_foreseen(study: Study) -> None:
    from orchestrator.report.judging.verdicts import foreseen
    from orchestrator.tables import layout

    for number in study.spec.tables:
        shape = layout(number)
        counts = foreseen(shape, study.slots, len(study.spec.seeds), settings_of(study.spec))
        for why, count in counts.items():
            verdict = f"not comparable: {why}" if why else "can be compared"
            typer.echo(f"{shape.name}: {counted(count, 'published number')} {verdict}")
        if not counts:
            typer.echo(f"{shape.name}: no published number is in this study")
