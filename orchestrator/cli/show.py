"""The command that tells a trial's story."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.answers import Attempt, ClassCount, Epoch, Place, Show
from orchestrator.cli.common import friendly, load_settings, open_store
from orchestrator.cli.output import AsJson, print_json, refuse_alone, refuse_both, say
from orchestrator.trial import State, classes_measured

if TYPE_CHECKING:
    from orchestrator.records import AttemptInfo, CellValue
    from orchestrator.settings import Settings
    from orchestrator.store import Store

DRAWN = ("loss", "accuracy")
BARS = "▁▂▃▄▅▆▇█"
WIDEST = 40  # characters of a sparkline


@friendly
def show(
    trial: Annotated[str, typer.Argument(help="A key's beginning, or a printed name.")],
    log: Annotated[bool, typer.Option("--log", help="Print what its worker printed.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="With --log: this attempt; the newest without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print everything about one trial: where it belongs, how it learned, what went wrong, or its log."""
    from orchestrator.report.terminal import plain_console
    from orchestrator.store.find import find_trial

    refuse_both(as_json, log, ("--json", "--log"))
    refuse_alone(attempt is not None, log, ("--attempt", "--log"))
    store, settings = open_store(), load_settings()
    value = find_trial(store, trial)
    assert value.key is not None
    attempts = [_attempt(store, settings, each) for each in store.attempts([value.key])]
    if log:
        _print_log(attempts, attempt)
        return
    found = _answer(store, settings, value, attempts)
    if as_json:
        print_json(found)
        return
    out = plain_console()
    for line in _lines(found):
        out.print(line, soft_wrap=True)


def _attempt(store: Store, settings: Settings, info: AttemptInfo) -> Attempt:
    from orchestrator.settings import log_path

    noted = info.worker.get("log")
    guessed = log_path(settings.runs, info.key, info.number)
    return Attempt(
        number=info.number,
        state=info.state,
        host=info.worker.get("host"),
        device=info.worker.get("device"),
        started=info.started,
        finished=info.finished,
        seconds=info.seconds,
        restarts=info.restarts,
        commit=info.provenance.get("git_commit"),
        mlflow_run=info.mlflow_run_id,
        error_kind=info.error_kind,
        error=info.error,
        traceback=store.tracebacks([info.attempt_id]).get(info.attempt_id),
        # a worker that was killed may have had no time to note it
        log=noted or (guessed if Path(guessed).is_file() else None),
    )


def _answer(store: Store, settings: Settings, value: CellValue, attempts: Sequence[Attempt]) -> Show:
    from orchestrator.store.filters import NOT_RUN

    key, newest = value.key or "", value.attempt_id
    return Show(
        key=key,
        trial=store.names([key])[key],
        state=value.state or NOT_RUN,
        seed=value.seed,
        final=value.final,
        best=value.best,
        measured_on=classes_measured(value.config),
        seconds=value.seconds,
        data_digest=value.data_digest,
        config=dict(value.config),
        cells=tuple(Place(*place) for place in store.places([key]).get(key, [])),
        attempts=tuple(attempts),
        epochs=() if newest is None else tuple(Epoch(e.epoch, dict(e.metrics)) for e in store.epochs(newest)),
        classes=() if newest is None else tuple(_classes(store, settings, value, newest)),
    )


def _classes(store: Store, settings: Settings, value: CellValue, attempt_id: int) -> Iterator[ClassCount]:
    from dvta import datasets
    from dvta.errors import DvtaError

    try:
        names = datasets.get(str(value.config.get("dataset")), settings.data).class_names
    except DvtaError:
        names = ()
    for protocol in ("final", "best"):
        for of, (correct, total) in sorted(store.per_class(attempt_id, protocol).items()):
            name = names[of] if 0 <= of < len(names) else None
            yield ClassCount(protocol, of, name, correct, total)


def _lines(found: Show) -> Iterator[str]:
    """Yield what a person reads, what is most asked for first."""
    last = found.attempts[-1] if found.attempts else None
    failed = last is not None and found.state == State.FAILED
    final, best = (None if x is None else f"{100 * x:.2f} %" for x in (found.final, found.best))
    about = {
        "trial": found.trial, "key": found.key, "state": found.state, "final accuracy": final,
        "best accuracy": best, "measured on": None if found.final is None else found.measured_on,
        "seconds": None if found.seconds is None else f"{found.seconds:.1f}",
        "error": f"{last.error_kind}: {last.error}" if last is not None and failed else None,
    }  # fmt: skip
    yield from (f"{name:22} {content}" for name, content in about.items() if content is not None)
    for cell in found.cells:
        yield f"{'cell':22} study {cell.study}, {cell.table}: {cell.row}, {cell.column}"
    for metric in DRAWN:
        measured = [(e.epoch, x) for e in found.epochs if (x := e.metrics.get(metric)) is not None]
        if measured:
            values = [x for _, x in measured]
            yield (
                f"{metric:22} {sparkline(values)} {values[0]:.4g} to {values[-1]:.4g}, "
                f"epochs {measured[0][0]} to {measured[-1][0]}"
            )
    yield from _class_lines(found.classes)
    for attempt in found.attempts:
        yield f"{f'attempt {attempt.number}':22} {_told(attempt)}"
        if attempt.log:
            yield f"{'log':22} {attempt.log}{f' on {attempt.host}' if attempt.host else ''}"
    # the newest: the others are in --json
    traced = [attempt for attempt in found.attempts if attempt.traceback]
    if traced:
        yield from (
            "",
            f"traceback of attempt {traced[-1].number}:",
            (traced[-1].traceback or "").rstrip(),
            "",
        )
    rest = {"seed": found.seed, "data digest": found.data_digest, **found.config}
    yield from (f"{name:22} {content}" for name, content in rest.items() if content is not None)


def _class_lines(classes: Sequence[ClassCount]) -> Iterator[str]:
    final = [each for each in classes if each.protocol == "final" and each.total]
    for each in sorted(final, key=lambda c: c.correct / c.total, reverse=True):
        share = f"{100 * each.correct / each.total:6.2f} % of {each.total}"
        yield f"{'class ' + str(each.class_id):22} {share}{f'  {each.name}' if each.name else ''}"


def _told(attempt: Attempt) -> str:
    started = datetime.datetime.fromtimestamp(attempt.started, datetime.UTC)
    parts = [
        attempt.state + (f" on {attempt.host}" if attempt.host else ""),
        f"started {started:%Y-%m-%d %H:%M:%S} UTC",
        None if attempt.seconds is None else f"{attempt.seconds:.1f} s of training",
        f"went on {attempt.restarts} times" if attempt.restarts else None,
        attempt.device and f"device {attempt.device}",
        attempt.commit and f"commit {attempt.commit[:10]}",
        attempt.mlflow_run and f"MLflow run {attempt.mlflow_run}",
        f"{attempt.error_kind}: {attempt.error}" if attempt.error_kind else None,
    ]
    return ", ".join(part for part in parts if part)


def sparkline(values: Sequence[float]) -> str:
    """Return a line of bars from the least to the largest value; of many epochs, evenly chosen ones."""
    count = min(len(values), WIDEST)
    chosen = [values[round(i * (len(values) - 1) / max(count - 1, 1))] for i in range(count)]
    finite = [x for x in chosen if abs(x) < float("inf")]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((x - low) * scale)] if abs(x) < float("inf") else "!" for x in chosen)


def _print_log(attempts: Sequence[Attempt], number: int | None) -> None:
    """Print the log of an attempt, by default the newest.

    Raises:
        StoreError: there is no such attempt, or its log is on another host.
    """
    from orchestrator.errors import StoreError

    chosen = [each for each in attempts if number in (None, each.number)][-1:]
    if not chosen:
        have = ", ".join(str(each.number) for each in attempts) or "none: it was not run yet"
        raise StoreError(f"--attempt {number or 'newest'}: there is none of that number; attempts: {have}")
    (attempt,) = chosen
    if attempt.log is None:
        say(f"attempt {attempt.number} printed nothing")
        return
    if "://" in attempt.log:
        from orchestrator.execute.checkpoints import read_bytes

        content = read_bytes(attempt.log)
    else:
        path = Path(attempt.log)
        content = path.read_bytes() if path.is_file() else None
    if content is None:
        raise StoreError(f"{attempt.log}: is not on this machine; it was written on {attempt.host}")
    typer.echo(content.decode(errors="replace"), nl=False)
