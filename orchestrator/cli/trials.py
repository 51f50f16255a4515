"""Commands that say what ran: studies, trials, one trial."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.common import friendly, open_store, pairs
from orchestrator.trial import SEEN_CLASSES, TEST_CLASSES, VALIDATION_CLASSES, classes_measured

app = typer.Typer()

#: the columns of a list of trials by the classes that accuracies were measured on
ACCURACIES = {
    TEST_CLASSES: ("final", "best"),
    VALIDATION_CLASSES: ("validation",),
    SEEN_CLASSES: ("seen",),
}


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

    store, out = open_store(), plain_console()
    found = find_trials(store, pairs(filter_), limit)
    names = store.names([value.key for value in found if value.key])
    classes = {value.key: classes_measured(value.config) for value in found}
    # what was not measured on test classes has a column that says so
    columns = {of: head for of, head in ACCURACIES.items() if of in (TEST_CLASSES, *classes.values())}
    rows = []
    for value in found:
        shown = {of: [""] * len(head) for of, head in columns.items()}
        if value.final is not None:
            measured = (value.final, value.best)[: len(shown[classes[value.key]])]
            shown[classes[value.key]] = ["" if x is None else f"{100 * x:.2f}" for x in measured]
        numbers = [text for texts in shown.values() for text in texts]
        key = value.key or ""
        rows.append([key[:10], names[key], value.state or "not run", *numbers])
    heads = [head for heads in columns.values() for head in heads]
    print_whole(plain_table(["key", "trial", "state", *heads], rows), out)
    for of, (first, *rest) in columns.items():
        out.print(f"{' and '.join([first, *rest])}: accuracy in % on {of}", soft_wrap=True)


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
    measured = None if value.final is None else classes_measured(value.config)
    about: dict[str, Any] = {
        "trial": store.names([value.key])[value.key], "key": value.key, "seed": value.seed,
        "state": value.state or "not run", "final accuracy": value.final, "best accuracy": value.best,
        "measured on": measured, "seconds": value.seconds, "data digest": value.data_digest, "error": value.error,
    }  # fmt: skip
    for attempt in last:
        about |= {
            "attempt": attempt.number, "commit": attempt.provenance.get("git_commit"),
            "device": attempt.worker.get("device"), "MLflow run": attempt.mlflow_run_id,
        }  # fmt: skip
    for name, content in {**about, **value.config}.items():
        if content is not None:
            out.print(f"{name:22} {content}", soft_wrap=True)
