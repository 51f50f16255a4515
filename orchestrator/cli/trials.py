"""Commands that say what ran: studies, trials, one trial."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.common import friendly, open_store, pairs

app = typer.Typer()


@app.command()
@friendly
def status(study: Annotated[str | None, typer.Option("--study", help="Only this study.")] = None) -> None:
    """Print how every study stands; works while a sweep runs."""
    from orchestrator.cli.progress import duration
    from orchestrator.report.terminal import plain_console, plain_table, print_whole

    store, out = open_store(), plain_console()
    wanted = [store.find_study(study)] if study else [(i, name) for i, name, _ in store.studies()]
    standings = [(name, store.standing(study_id)) for study_id, name in wanted]
    always = ("done", "running", "to run")
    names = [
        state
        for state in ("done", "running", "interrupted", "failed", "pruned", "to run")
        if state in always or any(standing.counts.get(state) for _, standing in standings)
    ]
    rows = []
    running: dict[str, str] = {}
    for name, standing in standings:
        rest = sum(standing.counts.get(s, 0) for s in ("running", "interrupted", "to run"))
        left = "" if not rest else "unknown" if standing.seconds is None else duration(standing.seconds)
        rows.append([name, str(standing.trials), *(str(standing.counts.get(s, 0)) for s in names), left])
        for key, trial, epoch, epochs, host in standing.running:
            running[key] = f"running: {key[:10]} {trial} epoch {epoch}/{epochs}, driver on {host}"
    print_whole(plain_table(["study", "trials", *names, "left on one worker"], rows), out)
    for line in running.values():
        out.print(line, soft_wrap=True)


@app.command()
@friendly
def trials(
    filter_: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Such as dataset=ntu60.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List stored trials."""
    from orchestrator.report.terminal import plain_console, plain_table, print_whole
    from orchestrator.store.find import find_trials
    from orchestrator.trial import names_beside

    rows = []
    found = find_trials(open_store(), pairs(filter_), limit)
    names = names_beside([{**value.config, "seed": value.seed} for value in found])
    for value, name in zip(found, names, strict=True):
        numbers = [f"{100 * x:.2f}" if x is not None else "" for x in (value.final, value.best)]
        mark = " (simulated)" if value.source == "simulated" else ""
        rows.append([(value.key or "")[:10], name + mark, value.state or "not run", *numbers])
    print_whole(plain_table(["key", "trial", "state", "final", "best"], rows), plain_console())


@app.command()
@friendly
def show(trial: Annotated[str, typer.Argument(help="A key's beginning, or a printed name.")]) -> None:
    """Print everything about one trial."""
    from orchestrator.report.terminal import plain_console
    from orchestrator.store.find import find_trial

    store = open_store()
    value = find_trial(store, trial)
    assert value.key is not None
    last = store.attempts([value.key])[-1:]
    out = plain_console()
    about: dict[str, Any] = {
        "key": value.key, "seed": value.seed, "state": value.state or "not run", "final accuracy": value.final,
        "best accuracy": value.best, "seconds": value.seconds, "data digest": value.data_digest,
        "error": value.error,
    }  # fmt: skip
    for attempt in last:
        about |= {
            "attempt": attempt.number, "commit": attempt.provenance.get("git_commit"),
            "device": attempt.worker.get("device"), "MLflow run": attempt.mlflow_run_id,
        }  # fmt: skip
    for name, content in {**about, **value.config}.items():
        if content is not None:
            out.print(f"{name:22} {content}", soft_wrap=True)
