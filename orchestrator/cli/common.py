"""What all commands share: the error border, option types, settings and store."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.store import Store


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
StudyName = Annotated[str | None, typer.Option("--study", help="A study by name; the newest without it.")]
Output = Annotated[Path | None, typer.Option("--output", help="Write to a file.")]


def friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a person's mistake into one message and exit code 2."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from dvta.errors import DvtaError
        from orchestrator.errors import explain

        try:
            return command(*args, **kwargs)
        except DvtaError as error:
            typer.echo(f"error: {explain(error)}", err=True)
            raise typer.Exit(2) from None

    return run


def load_settings() -> Settings:
    """Return the settings of the environment."""
    from orchestrator.settings import Settings

    return Settings.load()


def open_store() -> Store:
    """Open the store that is there; reading creates none."""
    from orchestrator.store import Store

    return Store.open(load_settings().store, create=False)


def pairs(values: Iterable[str] | None) -> dict[str, str]:
    """Return ``NAME=VALUE`` arguments as a mapping.

    Raises:
        SettingsError: one of them is not of that form.
    """
    from orchestrator.errors import SettingsError

    found = {}
    for value in values or []:
        name, sign, content = value.partition("=")
        if not sign or not name:
            raise SettingsError(f"{value!r}: allowed: NAME=VALUE")
        found[name.strip()] = content
    return found


def names_of(text: str) -> list[str]:
    """Return the names in ``A,B,C``."""
    return [name.strip() for name in text.split(",") if name.strip()]


def emit(written: str | bytes, output: Path | None) -> None:
    """Print a text, or write it or a picture to a file.

    Raises:
        SettingsError: the file cannot be written.
    """
    from orchestrator.errors import SettingsError

    if output is None:
        typer.echo(written, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(written if isinstance(written, bytes) else written.encode())
    except OSError as error:
        raise SettingsError(f"--output {output}: cannot be written ({error.strerror})") from error
