"""The command line in this process, and what it says of itself."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from typer.main import get_command

from orchestrator.cli import main as cli


def run(*arguments: str) -> int:
    """Run a command in this process; return its exit code."""
    try:
        return cli.app(list(arguments), standalone_mode=False) or 0
    except SystemExit as stop:
        return stop.code


@functools.cache
def help_of(*command: str) -> str:
    """Return a command's --help at a fixed width, without colour."""
    environment = {
        **os.environ,
        "COLUMNS": "110",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "_TYPER_FORCE_DISABLE_TERMINAL": "1",
    }
    code = "from orchestrator.cli.main import app; app(prog_name='dvta-orch')"
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def commands() -> list[tuple[str, ...]]:
    """Return every command of the program, as the words one types."""
    found: list[tuple[str, ...]] = []

    def walk(command, words):
        inside = getattr(command, "commands", None)
        if not inside:
            found.append(words)
        for name, child in sorted((inside or {}).items()):
            walk(child, (*words, name))

    walk(get_command(cli.app), ())
    return found
