"""The command that says how every study stands."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.answers import Running, Status, StudyStatus
from orchestrator.cli.common import friendly, open_store, study_option
from orchestrator.cli.output import AsCsv, AsJson, print_csv, print_json, refuse_both, say
from orchestrator.records import UNFINISHED

if TYPE_CHECKING:
    from rich.console import Group

    from orchestrator.store import Store

ALWAYS = ("done", "running", "to run")
STATES = ("done", "running", "interrupted", "failed", "pruned", "to run")


@friendly
def status(
    study: Annotated[str | None, study_option("Only this study.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw it anew on the terminal until nothing runs; Ctrl-C ends it.")
    ] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.")] = 2.0,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Print how every study stands; works while a sweep runs."""
    from orchestrator.errors import SettingsError
    from orchestrator.report.terminal import plain_console

    refuse_both(as_json, as_csv)
    if watch and (as_json or as_csv):
        raise SettingsError("--watch: draws a terminal anew; allowed: without --json and --csv")
    store = open_store()
    found = _standings(store, study)
    if as_json:
        print_json(found)
    elif as_csv:
        columns = ["study", "trials", *STATES, "seconds_left"]
        rows = (
            [s.study, s.trials, *(s.counts.get(x, 0) for x in STATES), s.seconds_left] for s in found.studies
        )
        print_csv(columns, rows)
    elif watch and sys.stdout.isatty():
        _watch(store, study, every)
    else:
        if watch:
            say("--watch needs a terminal to draw on; this is how it stands now")
        plain_console().print(_drawn(found), soft_wrap=True)


def _standings(store: Store, study: str | None) -> Status:
    wanted = [store.find_study(study)] if study else [(i, name) for i, name, _ in store.studies()]
    studies = []
    for study_id, name in wanted:
        standing = store.standing(study_id)
        running = tuple(Running(*each) for each in standing.running)
        studies.append(StudyStatus(name, standing.trials, dict(standing.counts), standing.seconds, running))
    return Status(tuple(studies))


def _watch(store: Store, study: str | None, every: float) -> None:
    """Draw until nothing runs; an interruption ends it in good order."""
    from rich.live import Live

    from orchestrator.report.terminal import plain_console

    found = _standings(store, study)
    with Live(_drawn(found), console=plain_console(), auto_refresh=False) as live:
        try:
            while any(each.running for each in found.studies):
                time.sleep(every)
                found = _standings(store, study)
                live.update(_drawn(found), refresh=True)
        except KeyboardInterrupt:
            return


def _drawn(found: Status) -> Group:
    from rich.console import Group
    from rich.text import Text

    from orchestrator.cli.progress import duration
    from orchestrator.report.terminal import plain_table

    states = [x for x in STATES if x in ALWAYS or any(s.counts.get(x) for s in found.studies)]
    rows = []
    for each in found.studies:
        rest = sum(each.counts.get(state, 0) for state in UNFINISHED)
        seconds = each.seconds_left
        left = "" if not rest else "unknown" if seconds is None else duration(seconds)
        rows.append([each.study, str(each.trials), *(str(each.counts.get(x, 0)) for x in states), left])
    # a trial of several studies runs once
    running = {trial.key: trial for each in found.studies for trial in each.running}
    lines = [
        Text(f"running: {r.key[:10]} {r.trial} epoch {r.epoch}/{r.epochs}, driver on {r.host}")
        for r in running.values()
    ]
    return Group(plain_table(["study", "trials", *states, "left on one worker"], rows), *lines)
