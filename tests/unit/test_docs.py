"""The documents say what is true: commands, flags, tests and files that exist."""

import re
import subprocess
import sys

from tests.conftest import ROOT

COMMAND = re.compile(r"^\w*\$ (?:PYTHONPATH=\S+ )?dvta-orch (.*?)(?:\s+#.*)?$", re.MULTILINE)
HELP = ROOT / "docs/commands.md"


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docker/README.md"]


def help_of(*command: str) -> str:
    """Return a command's --help at a fixed width, without colour."""
    import os

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
    from typer.main import get_command

    from orchestrator.cli.main import app

    found: list[tuple[str, ...]] = []

    def walk(command, words):
        inside = getattr(command, "commands", None)
        if not inside:
            found.append(words)
        for name, child in sorted((inside or {}).items()):
            walk(child, (*words, name))

    walk(get_command(app), ())
    return found


def written() -> str:
    """Return what docs/commands.md must hold."""
    parts = [
        "# Commands\n",
        "Every `--help`, as the program prints it; a test keeps this page equal to it.\n",
    ]
    for words in commands():
        parts.append(f"## dvta-orch {' '.join(words)}\n\n```text\n{help_of(*words)}\n```\n")
    return "\n".join(parts)


def test_the_command_page_is_what_help_prints():
    assert len(commands()) == 22
    assert HELP.read_text() == written(), "write it again with: python -m tests.unit.test_docs"


def test_every_command_in_the_documents_exists_with_its_flags():
    known = {words: help_of(*words) for words in commands()}
    count = 0
    for document in documents():
        for line in COMMAND.findall(document.read_text()):
            words = line.split()
            name = max((w for w in known if tuple(words[: len(w)]) == w), key=len, default=None)
            assert name is not None, f"{document.name}: dvta-orch {line}"
            for flag in re.findall(r"--[a-z-]+", line):
                assert flag in known[name], f"{document.name}: {flag} of dvta-orch {line}"
            count += 1
    assert count >= 15


def test_every_row_of_the_fault_matrix_names_a_test_that_exists():
    rows = [r for r in (ROOT / "docs/faults.md").read_text().splitlines() if r.startswith("| ")][1:]
    assert len(rows) == 27
    for row in rows:
        path, name = re.search(r"`([\w./]+)::(\w+)` \|$", row).groups()
        source = (ROOT / "tests/e2e" / path).resolve().read_text()
        assert f"def {name}(" in source, row


def test_files_named_in_the_documents_exist():
    count = 0
    for document in documents():
        for path in re.findall(
            r"\b(?:experiments|docs|docker|tests|dvta)/[\w./-]+\.(?:yaml|md|py|json|svg|sh)",
            document.read_text(),
        ):
            assert (ROOT / path).is_file(), f"{document.name}: {path}"
            count += 1
    assert count >= 10


if __name__ == "__main__":
    HELP.write_text(written())
