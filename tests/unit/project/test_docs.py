"""The documents say what is true: commands, flags, tests and files that exist."""

import re

from tests.commands import commands, help_of
from tests.conftest import ROOT

COMMAND = re.compile(r"^\w*\$ (?:PYTHONPATH=\S+ )?dvta-orch (.*?)(?:\s+#.*)?$", re.MULTILINE)
HELP = ROOT / "docs/commands.md"


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docker/README.md"]


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
    assert len(commands()) == 28
    assert HELP.read_text() == written(), "write it again with: python -m tests.unit.project.test_docs"


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
