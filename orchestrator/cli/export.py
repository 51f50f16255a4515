"""The command that writes a trained trial as one file for other programs."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.common import friendly, load_settings, open_store

Form = enum.StrEnum("Form", ["torchscript", "onnx"])
Texts = enum.StrEnum("Texts", ["baked", "free"])


@friendly
def export(
    trial: Annotated[str, typer.Argument(help="A key's beginning, or a printed name.")],
    output: Annotated[Path, typer.Option("--output", help="The file to write.")],
    form: Annotated[Form, typer.Option("--format", help="What is written.")] = Form.torchscript,
    texts: Annotated[
        Texts, typer.Option(help="The candidates' texts: in the file, or inputs beside the samples.")
    ] = Texts.baked,
    phrases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The candidates, one a line; the unseen classes of the trial without it."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The text model's name or folder; classes need none.")
    ] = None,
) -> None:
    """Write encoder and alignment as one file, verified against the trial's own scores on its test set."""
    from orchestrator.cli.asked import Asked
    from orchestrator.errors import SettingsError
    from orchestrator.execute.phrases import Phrases
    from orchestrator.store.find import load_trial

    if model is not None and phrases is None:
        raise SettingsError(f"--model {model}: encodes phrases, and there are none; allowed: with --phrases")
    asked = Asked(None, phrases) if phrases is not None else None
    store, settings = open_store(), load_settings()
    found = load_trial(store, trial)
    if asked is not None:
        Phrases(settings, found, model).require(asked.phrases, asked.contexts)

    from orchestrator.execute.export import check_path, export_trial
    from orchestrator.execute.trained import load_trained

    check_path(output)
    trained = load_trained(store, settings, found, lambda line: typer.echo(line, err=True))
    text = trained.text(asked.phrases, asked.contexts, model) if asked else None
    names = asked.phrases if asked else None
    done = export_trial(trained, form.value, output, texts=texts.value, names=names, text=text)  # type: ignore[arg-type]
    about = done.about
    inputs = ", ".join(f"{name} ({' × '.join(map(str, axes))})" for name, axes in about["inputs"].items())
    candidates = about["candidates"]
    typer.echo(f"{output}: {form}, {output.stat().st_size:,} bytes")
    typer.echo(f"inputs: {inputs}; {about['visual']}; texts {about['texts']}")
    typer.echo(f"candidates: {', '.join(candidates) if isinstance(candidates, list) else candidates}")
    typer.echo(
        f"verified on the trial's {done.samples} test samples: scores differ by {done.difference:.1e} at most"
    )
