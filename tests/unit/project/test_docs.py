"""The documents say what is true: commands, flags, tests and files that exist."""

import json
import re

from orchestrator.cli.answers import ANSWERS, schema
from tests.commands import commands, help_of, run
from tests.conftest import ROOT

COMMAND = re.compile(r"^\w*\$ (?:PYTHONPATH=\S+ )?dvta-orch (.*?)(?:\s+#.*)?$", re.MULTILINE)
HELP = ROOT / "docs/commands.md"
SCHEMAS = ROOT / "docs/schemas"


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


def written_schemas() -> dict[str, str]:
    """Return what the files of docs/schemas must hold, by name."""
    return {f"{name.replace(' ', '-')}.json": json.dumps(schema(name), indent=1) + "\n" for name in ANSWERS}


def test_every_command_with_json_has_its_schema_in_the_documents():
    assert {p.name: p.read_text() for p in SCHEMAS.iterdir()} == written_schemas(), (
        "write them again with: python -m tests.unit.project.test_docs"
    )
    with_json = {" ".join(words) for words in commands() if "--json" in help_of(*words)}
    assert with_json - {"sweep"} == set(ANSWERS)  # a sweep's plan is that of plan
    assert len(ANSWERS) == 12
    listed = re.findall(
        r"\| `dvta-orch ([\w ]+)` \| \[schema\]\(schemas/([\w-]+)\.json\) ",
        (ROOT / "docs/json.md").read_text(),
    )
    assert sorted(listed) == sorted((name, name.replace(" ", "-")) for name in ANSWERS)


def test_the_command_page_is_what_help_prints():
    assert len(commands()) == 29
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


def lines_of_tables(capsys, *command):
    assert run(*command, "--format", "md") == 0
    return [line for line in capsys.readouterr().out.splitlines() if re.match(r"\||\*[^*]", line)]


def test_the_numbers_in_the_documents_are_those_of_the_results_beside_them(capsys):
    page = (ROOT / "docs/leaderboard.md").read_text().splitlines()
    results = {name: str(ROOT / f"docs/results/{name}.archive") for name in ("cmu_random", "cmu_leaderboard")}
    five = lines_of_tables(capsys, "judge", "--store", results["cmu_random"], "--rows", "method")
    fourteen = lines_of_tables(capsys, "judge", "--store", results["cmu_leaderboard"], "--rows", "method")
    table = lines_of_tables(
        capsys, "report", "--store", results["cmu_leaderboard"], "--study", "cmu_leaderboard",
        "--rows", "method", "--cols", "split", "--interval",
    )  # fmt: skip
    assert (len(five), len(fourteen), len(table)) == (29, 16 + 93 + 10, 21)
    assert [line for line in (*five, *fourteen[:16], *table) if line not in page] == []


def test_every_row_of_the_fault_matrix_names_a_test_that_exists():
    rows = [r for r in (ROOT / "docs/faults.md").read_text().splitlines() if r.startswith("| ")][1:]
    assert len(rows) == 28
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
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in written_schemas().items():
        (SCHEMAS / name).write_text(text)
