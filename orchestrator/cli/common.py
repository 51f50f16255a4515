"""What all commands share: the error border, option types, settings and store."""

from __future__ import annotations

import contextlib
import enum
import errno
import functools
import io
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.store import Store


# how Typer itself ends a command: an exit code, an abort, a mistake in its arguments
ENDED: tuple[type[BaseException], ...] = (
    typer.Exit,
    typer.Abort,
    *(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"),
)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
#: whether tracebacks are shown, set by ``dvta-orch --debug``
debugging = False


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


def _studies(incomplete: str) -> list[str]:
    """Return the names of the studies that begin so, for a shell's completion."""
    from dvta.errors import DvtaError

    try:
        return [name for _, name, _ in open_store().studies() if name.startswith(incomplete)]
    except DvtaError:
        return []


def study_option(help_: str) -> Any:
    """Return the option ``--study``, whose values a shell completes."""
    return typer.Option("--study", help=help_, autocompletion=_studies)


StudyName = Annotated[str | None, study_option("A study by name; the newest without it.")]
Written = Annotated[
    Format | None, typer.Option("--format", help="How it is written; without it, as --output ends.")
]
Output = Annotated[Path | None, typer.Option("--output", help="Write to a file.")]


def friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn whatever ends a command early into one message and an exit code.

    2: a person's mistake. 3: a mistake of this program. 130: a signal. 141: nobody reads the output.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from dvta.errors import DvtaError
        from orchestrator.errors import explain

        prepare_process()
        try:
            done = command(*args, **kwargs)
            sys.stdout.flush()
            return done
        except ENDED:
            raise
        except DvtaError as error:
            typer.echo(f"error: {explain(error)}", err=True)
            code = 2
        except KeyboardInterrupt:
            typer.echo("interrupted; run the same command again to go on", err=True)
            code = 130
        except BrokenPipeError:
            code = _without_output(141)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename is not None:
                code = _unexpected(error)
            else:
                typer.echo(f"error: the output cannot be written ({error.strerror})", err=True)
                code = _without_output(2)
        except (Exception, SystemExit) as error:
            # Rich makes an exit of a closed pipe
            closed = isinstance(error.__context__, BrokenPipeError)
            code = _without_output(141) if closed else _unexpected(error)
        raise typer.Exit(code)

    return run


class Program(TyperGroup):
    """All commands; help and what else Typer prints before one runs end as a command does."""

    @friendly
    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the program's own flags."""
        try:
            return super().make_context(*args, **kwargs)
        except SystemExit as stop:
            if isinstance(stop.__context__, BrokenPipeError):
                raise
            # Typer ends so once it has printed a shell's completion
            raise typer.Exit(int(stop.code or 0)) from stop

    @friendly
    def invoke(self, ctx: Any) -> Any:
        """Read a command's flags and run it."""
        return super().invoke(ctx)


def prepare_process() -> None:
    """Let signals interrupt from the first moment, and any terminal show any text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            # one that is ignored, as under nohup, stays so
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)


def _without_output(code: int) -> int:
    """Return a code; what is still to be written goes nowhere instead of failing at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _unexpected(error: BaseException) -> int:
    """Write the traceback of a mistake of this program to a file, or show it; return the exit code."""
    if debugging:
        traceback.print_exception(error)
        return 3
    handle, path = tempfile.mkstemp(prefix="dvta-orch-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    first = (str(error).strip() or "no message").splitlines()[0]
    typer.echo(
        f"error: {type(error).__name__}: {first[:500]} (a mistake of this program: the traceback is in {path}; "
        "dvta-orch --debug … shows it)",
        err=True,
    )
    return 3


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 cell``, ``2 studies``, ``3 files or folders``, ``4 folders of skeletons``."""
    counts, of, rest = noun.partition(" of ")
    if count != 1:
        counts = " or ".join(f"{n[:-1]}ies" if n.endswith("y") else f"{n}s" for n in counts.split(" or "))
    return f"{count} {counts}{of}{rest}"


def load_settings() -> Settings:
    """Return the settings of the environment."""
    from orchestrator.settings import Settings

    return Settings.load()


def open_store() -> Store:
    """Open the store that is there; reading creates none."""
    from orchestrator.store import Store

    return Store.open(load_settings().store, create=False)


def pairs(flag: str, values: Iterable[str] | None) -> dict[str, str]:
    """Return what a flag that takes ``NAME=VALUE`` was given as a mapping.

    Raises:
        SettingsError: one of them is not of that form, or a name stands twice with two values.
    """
    from orchestrator.errors import SettingsError

    found: dict[str, str] = {}
    for value in values or []:
        name, sign, content = value.partition("=")
        if not sign or not name:
            raise SettingsError(f"{flag} {value!r}: allowed: {flag} NAME=VALUE")
        if found.setdefault(name.strip(), content) != content:
            raise SettingsError(
                f"{flag} {name.strip()}: both {found[name.strip()]!r} and {content!r}; allowed: one value"
            )
    return found


def near(path: Path) -> Path:
    """Return a path as one would type it here: from the working folder where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


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
