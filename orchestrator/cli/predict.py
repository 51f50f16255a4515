"""The command that asks a trained trial about a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, load_settings, open_store
from orchestrator.cli.prepare import FirstFrame, Fps, Joints, Unit


@friendly
def predict(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, a position or a feature array.")],
    phrases: Annotated[
        list[str], typer.Argument(metavar="PHRASE...", help="Words, or WORDS=CONTEXT SENTENCE.")
    ],
    trial: Annotated[str, typer.Option(help="A key's beginning, or a printed name.")],
    model: Annotated[str | None, typer.Option(help="The text model's name or folder.")] = None,
    joints: Joints = None,
    unit: Unit = None,
    fps: Fps = None,
    first_frame: FirstFrame = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank phrases, known as classes or not, by how well a motion fits them."""
    import dataclasses
    import json

    from dvta.errors import DataError
    from orchestrator.execute.phrases import Phrases
    from orchestrator.store.find import load_trial

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    store, settings = open_store(), load_settings()
    found = load_trial(store, trial)
    names = [p.partition("=")[0] for p in phrases]
    contexts = [p.partition("=")[2] or p for p in phrases]
    # before PyTorch is imported: a text model that is not here is said in a second
    Phrases(settings, found, model).require(names, contexts)

    from dvta.skeleton.motion import Reading
    from orchestrator.execute.trained import load_trained
    from orchestrator.report.terminal import plain_console, plain_table, print_whole

    trained = load_trained(store, settings, found, lambda line: typer.echo(line, err=True))
    ranked, count = trained.rank(path, names, contexts, model, Reading(joints, unit, fps, first_frame))
    if as_json:
        about = {
            "file": str(path),
            "trial": found.key,
            "source": found.source,
            "samples": count,
            "weights": trained.weights,
        }
        typer.echo(json.dumps({**about, "ranking": [dataclasses.asdict(r) for r in ranked]}, indent=1))
        return
    rows = [(entry.phrase, f"{entry.score:.3f}", f"{100 * entry.probability:.1f} %") for entry in ranked]
    note = ", trained on SIMULATED features" if found.source == "simulated" else ""
    typer.echo(f"{path.name}: mean over {count} samples, {store.names([found.key])[found.key]}{note}")
    typer.echo(trained.weights)
    print_whole(plain_table(["phrase", "score", "share"], rows), plain_console())
