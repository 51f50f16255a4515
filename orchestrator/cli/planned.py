"""A plan as people and programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from orchestrator.cli.answers import Missing, Plan, Search
from orchestrator.cli.common import counted
from orchestrator.cli.output import print_json, say

if TYPE_CHECKING:
    from orchestrator.store import Store
    from orchestrator.study import plan as planning
    from orchestrator.study.study import Study


def answer(study: Study, plan: planning.Plan) -> Plan:
    """Return what a sweep of a study would do."""
    search = study.spec.search
    if search is not None:
        most = plan.cells * search.repeats * (search.trials + len(study.spec.seeds))
        found = Search(search.trials, search.sampler, search.objective, search.repeats, most)
    return Plan(
        study=study.spec.study,
        cells=plan.cells,
        trials=plan.distinct,
        seeds=len(study.spec.seeds) if search is not None else plan.seeds,
        to_run=len(plan.to_run),
        encoders=plan.encoders,
        done=len(plan.done),
        failed=len(plan.failed),
        leased=len(plan.leased),
        seconds=plan.seconds,
        simulated=plan.simulated > 0,
        simulated_trials=plan.simulated,
        missing=tuple(Missing(reason, count) for reason, count in plan.missing.items()),
        search=found if search is not None else None,
        stacked=_stacked(study, plan) if search is None else None,
    )


def show(plan: Plan, *, as_json: bool) -> None:
    """Print a plan that was asked for."""
    if as_json:
        print_json(plan)
        return
    for line in _lines(plan):
        typer.echo(line)


def talk(plan: Plan) -> None:
    """Say what a sweep is about to do."""
    for line in _lines(plan):
        say(line)


def say_what_next(store: Store, study: str, code: int) -> None:
    """Say the next commands after a sweep that came to its end."""
    from orchestrator.cli.report import tables_to_give
    from orchestrator.store.filters import equal
    from orchestrator.store.find import list_trials

    failed, found = list_trials(store, equal({"state": "failed"}), study=study, limit=1)
    if found:
        say(
            f"{counted(failed, 'trial')} failed; why: dvta-orch show {(found[0].key or '')[:10]}; "
            "again: the same command with --retry"
        )
    elif code == 0:
        named = f" --study {study}" if len(store.studies()) > 1 else ""
        tables = tables_to_give(store, store.find_study(study)[0])
        chosen = f" --table {tables[0]}" if len(tables) > 1 else ""
        say(f"see the results with: dvta-orch report{named}{chosen}")


def _lines(plan: Plan) -> list[str]:
    from orchestrator.cli.progress import duration

    search = plan.search
    if search is not None:
        repeated = f", {search.repeats} times" if search.repeats > 1 else ""
        lines = [
            f"search: {counted(plan.cells, 'cell')}, {counted(search.candidates, 'candidate')} in each "
            f"({search.sampler}, {search.objective}){repeated}, then the best of each with {counted(plan.seeds, 'seed')}: "
            f"{search.most_trials} trials at most"
        ]
    else:
        known = plan.seconds is not None and plan.to_run
        estimate = f", about {duration(plan.seconds or 0)} on one worker" if known else ""
        lines = [
            f"{counted(plan.cells, 'cell')}, {counted(plan.trials, 'distinct trial')} ({counted(plan.seeds, 'seed')}): "
            f"{plan.to_run} to run, {plan.done} done, {plan.failed} failed, {plan.leased} leased{estimate}",
            *([_encoders(plan.encoders)] if plan.encoders else []),
            *([f"{plan.stacked} of them can train stacked, several as one model"] if plan.stacked else []),
        ]
    if plan.simulated:
        some = "" if plan.simulated_trials == plan.trials else f" in {plan.simulated_trials} of the trials"
        lines.append(
            f"visual features: simulated{some} (no real ones in the data root; --source real forbids this)"
        )
    return lines + [f"{missing.cells} cannot be filled: {missing.reason}" for missing in plan.missing]


def _stacked(study: Study, plan: planning.Plan) -> int:
    stack, gpus = study.spec.resources.stack, study.spec.resources.gpus_per_trial
    if stack == "off":
        return 0
    from orchestrator.execute.grouping import count_stacked, device_type

    return count_stacked(plan.to_run, stack, device_type(gpus))


def _encoders(count: int) -> str:
    one, many = "1 of them trains a visual encoder", f"{count} of them train visual encoders"
    return one if count == 1 else many
