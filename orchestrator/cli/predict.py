"""The command that asks a trained trial about a recording, a folder of them, or a motion while it happens."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.asked import Asked
from orchestrator.cli.common import counted, friendly, load_settings, open_store
from orchestrator.cli.prepare import FirstFrame, Fps, Joints, Unit

if TYPE_CHECKING:
    from dvta.skeleton.motion import Reading
    from orchestrator.execute.trained import TrainedTrial


@friendly
def predict(
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A recording, a position or a feature array; a folder of them; with --watch also - or tcp://127.0.0.1:PORT.",
        ),
    ],
    trial: Annotated[str, typer.Option(help="A key's beginning, or a printed name.")],
    phrases: Annotated[
        list[str] | None, typer.Argument(metavar="[PHRASE]...", help="Words, or WORDS=CONTEXT SENTENCE.")
    ] = None,
    phrases_file: Annotated[
        Path | None,
        typer.Option("--phrases", metavar="FILE", help="Phrases, one a line; read again when it changes."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The text model's name or folder; classes need none.")
    ] = None,
    reject: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="P", help="Calibrate the shares; a best one below P is 'none of these'."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Answer for windows while the recording grows.")
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="watch: length, frames or seconds such as 1.5s; 2s without it."),
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="SPAN", help="watch: between two windows; 0.25s without it.")
    ] = None,
    idle: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="watch: of no growth end a file; 10 without it.")
    ] = None,
    joints: Joints = None,
    unit: Unit = None,
    fps: Fps = None,
    first_frame: FirstFrame = "auto",
    as_csv: Annotated[bool, typer.Option("--csv", help="A folder: print CSV, as without --json.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; a line each of windows or a folder.")
    ] = False,
) -> None:
    """Rank phrases, known as classes or not, by how well a motion fits them."""
    from orchestrator.cli.follow import check_source
    from orchestrator.execute.phrases import Phrases
    from orchestrator.store.find import load_trial

    _check(path, watch, {"--window": window, "--every": every, "--idle": idle}, as_csv and as_json)
    if watch:
        check_source(path)
    asked = Asked(phrases, phrases_file)
    store, settings = open_store(), load_settings()
    found = load_trial(store, trial)
    # before PyTorch is imported: a text model that is not here is said in a second
    Phrases(settings, found, model).require(asked.phrases, asked.contexts)

    from dvta.skeleton.motion import Reading
    from orchestrator.cli.watch import calibrated
    from orchestrator.execute.trained import load_trained

    trained = load_trained(store, settings, found, _say)
    how = Reading(joints, unit, fps, first_frame)
    chosen = {"temperature": calibrated(trained, reject), "reject": reject, "as_json": as_json}
    if watch:
        _watch(trained, path, asked, model, how, (window, every, idle), chosen)
    elif Path(path).is_dir():
        _folder(trained, Path(path), asked, model, how, chosen)
    else:
        name = store.names([found.key])[found.key]
        _one(trained, Path(path), asked, model, how, chosen, name)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _check(path: str, watch: bool, of_watch: dict[str, Any], both: bool) -> None:
    from dvta.errors import DataError
    from orchestrator.errors import SettingsError

    if both:
        raise SettingsError("--csv and --json: allowed: one of them")
    for option, value in of_watch.items():
        if value is not None and not watch:
            raise SettingsError(f"{option} {value}: is for --watch, which is not given")
    if not watch and not Path(path).exists():
        raise DataError(f"{path}: no such file")


def _watch(
    trained: TrainedTrial,
    source: str,
    asked: Asked,
    model: str | None,
    how: Reading,
    spans: tuple[str | None, str | None, float | None],
    chosen: dict[str, Any],
) -> None:
    from dvta.live import EVERY, WINDOW, Span
    from orchestrator.cli.watch import Watching, watch

    window, every, idle = spans
    length, step = Span.parse(window or WINDOW, "--window"), Span.parse(every or EVERY, "--every")
    watching = Watching(length, step, 10.0 if idle is None else idle, **chosen)
    watch(trained, source, asked, model, how, watching, _say)


def _folder(
    trained: TrainedTrial, folder: Path, asked: Asked, model: str | None, how: Reading, chosen: dict[str, Any]
) -> None:
    from dvta.errors import DataError
    from orchestrator.cli.batch import answers, recordings, write_csv, write_json

    refused: list[Path] = []
    said: Counter[str] = Counter()

    def refuse(path: Path, error: DataError) -> None:
        refused.append(path)
        _say(f"refused: {error}")

    found = answers(trained, recordings(folder), asked, model, how, chosen["temperature"], refuse, said)
    if chosen["as_json"]:
        count = write_json(found, chosen["reject"], folder, sys.stdout)
    else:
        count = write_csv(found, asked, chosen["reject"], folder, sys.stdout)
    for line, times in said.items():
        _say(f"{counted(times, 'recording')}: {line}")
    _say(f"{counted(count, 'recording')} answered, {len(refused)} refused")
    raise typer.Exit(1 if refused else 0)


def _one(
    trained: TrainedTrial,
    path: Path,
    asked: Asked,
    model: str | None,
    how: Reading,
    chosen: dict[str, Any],
    name: str,
) -> None:
    from orchestrator.cli.answers import Phrase, Prediction
    from orchestrator.cli.output import print_json
    from orchestrator.cli.watch import answer_of
    from orchestrator.report.terminal import plain_console, plain_table, print_whole

    temperature, reject = chosen["temperature"], chosen["reject"]
    ranked, count = trained.rank(path, asked.phrases, asked.contexts, model, how, temperature)
    answer = None if reject is None else answer_of(ranked, reject)
    if chosen["as_json"]:
        ranking = tuple(Phrase(r.phrase, r.score, r.probability) for r in ranked)
        trial, shared = trained.trial, None if reject is None else temperature
        print_json(
            Prediction(str(path), trial.key, trial.source, count, trained.weights, ranking, answer, shared)
        )
        return
    rows = [(entry.phrase, f"{entry.score:.3f}", f"{100 * entry.probability:.1f} %") for entry in ranked]
    note = ", trained on SIMULATED features" if trained.trial.source == "simulated" else ""
    typer.echo(f"{path.name}: mean over {counted(count, 'sample')}, {name}{note}")
    typer.echo(trained.weights)
    if reject is not None:
        typer.echo(f"answer: {answer} (shares calibrated, T = {temperature:.3g}, bound {100 * reject:g} %)")
    print_whole(plain_table(["phrase", "score", "share"], rows), plain_console())
