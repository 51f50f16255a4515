"""What a terminal and a file show of tables: every character of a label, every digit of a number."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.cli.progress import SweepProgress
from orchestrator.records import Claim, Outcome, Slot
from orchestrator.report.render import ENDINGS, FORMATS, render
from orchestrator.report.table import build_table
from orchestrator.report.terminal import print_table
from orchestrator.report.text import parts
from orchestrator.store import Store
from orchestrator.trial import State, Trial
from tests.cell_values import full_tables, value
from tests.conftest import ROOT

MARKED = ("[/hand]", "[bold]x", ":smile: y", "[link=http://a.b]z[/link]")


def shown(table, width, terminal):
    file = io.StringIO()
    # a console that reads markup: what is printed must not depend on it
    print_table(table, Console(file=file, width=width, force_terminal=terminal, color_system=None))
    return file.getvalue()


def marked(name="[/hand]"):
    return Trial(name, 1, "[/set]", "[red]", "v", ":smile:", 0, "real", "d", {}, {"epochs": 2})


def test_every_table_keeps_the_papers_numbers_and_labels_that_look_like_markup():
    count = 0
    for table in full_tables():
        printed = [f"[paper {n.paper}" for n in table.numbers.values() if n.paper is not None]
        assert len(printed) >= 8
        for width, terminal in ((300, False), (300, True), (80, False), (80, True)):
            text = shown(table, width, terminal)
            assert all(number in text for number in printed), (table.title, width, terminal)
        count += 1
    assert count == 9
    values = [value(row, column, s, 0.5) for row in MARKED for column in MARKED for s in range(2)]
    table = build_table(values, protocol="final", study="[/study]")
    for width, terminal in ((300, True), (20, False)):
        text = shown(table, width, terminal)
        assert all(text.count(label) == 2 for label in MARKED)
        assert "Study [/study]" in text


def test_markdown_and_html_show_labels_as_they_are():
    table = build_table([value("a|b *c* [d](e)", "<i>f</i>", 0, 0.5)], protocol="final", study="s")
    assert r"| a\|b \*c\* [d\](e) | 50.00 (n=1) " in render(table, "md")
    assert "&lt;i&gt;f&lt;/i&gt;" in render(table, "html")


@pytest.mark.parametrize("terminal", [True, False])
def test_no_number_is_shortened_or_broken_at_any_width(terminal):
    count = 0
    for table in full_tables():
        wanted = [part for number in table.numbers.values() for part in parts(number)]
        for width in (1, 10, 40, 80, 120, 1000):
            text = shown(table, width, terminal)
            assert "…" not in text
            assert all(part in text for part in wanted), (table.title, width)
            count += len(wanted)
    assert count > 3000


def test_a_narrow_terminal_wraps_labels_before_the_table_is_wider_than_it():
    values = [value("a row with a long label", f"column {c} of two", s, 0.5) for c in "ab" for s in range(2)]
    table = build_table(values, protocol="final", study="s")
    assert len(shown(table, 80, True).splitlines()[1]) == 69
    assert max(len(line) for line in shown(table, 50, True).splitlines() if set(line) & set("┃│")) <= 50
    assert len(shown(table, 50, False).splitlines()[1]) == 69


def test_one_place_makes_consoles_and_no_column_reads_markup():
    count = 0
    for path in sorted((ROOT / "orchestrator").rglob("*.py")):
        source = path.read_text()
        if path.name != "terminal.py":
            assert not re.search(r"\bConsole\(", source), path
        assert "from_markup" not in source, path
        for call in re.findall(r"\bTextColumn\(([^()]*)\)", source):
            assert "markup=False" in call, (path, call)
            count += 1
    assert count >= 4


def test_the_progress_of_a_sweep_prints_names_and_errors_as_they_are():
    for terminal in (False, True):
        file = io.StringIO()
        console = Console(file=file, width=60, force_terminal=terminal, color_system=None)
        display = SweepProgress(console)
        display.begin(1, lambda trial: f"{trial.method}[dataset={trial.dataset}]", simulated=False)
        with display:
            display.started(marked(), Claim(1, 1, True, 1, 1))
            display.restarted(marked(), "lost [/worker]")
            display.ended(marked(), State.FAILED, "KeyError: '[/key]' :smile:")
            display.say("[/said]", error=True)
        text = file.getvalue()
        for line in (
            "resumed [/hand][dataset=[/set]]",
            "restarted [/hand][dataset=[/set]]: lost [/worker]",
            "failed [/hand][dataset=[/set]]: KeyError: '[/key]' :smile:",
            "[/said]",
        ):
            assert line in text


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A store with a done trial whose names look like markup, in the working directory."""
    url = f"sqlite:///{tmp_path}/dvta.db"
    store = Store.open(url)
    store.save_study("s", "", [Slot("grid", "[/row]", "[/column]", marked())])
    claim = store.claim(marked(), "me", 60, {})
    store.record(claim.attempt_id, "me", [], outcome=Outcome({"final_accuracy": 0.123456}, {}, 1.0))
    monkeypatch.setenv("DVTA_STORE", url)
    monkeypatch.chdir(tmp_path)
    return store


def run(*arguments, code=0):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done.output


def test_lists_print_names_as_they_are(place):
    name = '"[/hand]"[dataset="[/set]",split="[red]",seed=0]'
    assert name in run("trials")
    assert name in run("show", marked().key[:10])
    assert marked().key in run("show", name)
    place.save_study("[/study]", "", [Slot("grid", "r", "c", marked())])
    place.claim(Trial.from_dict({**marked().to_dict(), "seed": 1}), "me", 60, {})
    assert "[/study]" in run("status")
    assert "[/row]" in run("report", "--study", "s")


def test_the_ending_of_the_output_decides_the_format(place):
    assert sorted(ENDINGS.values()) == sorted(FORMATS)
    for ending, style in ENDINGS.items():
        run("report", "--study", "s", "--output", f"x{ending}")
        assert Path(f"x{ending}").read_text() == run("report", "--study", "s", "--format", style)
    assert json.loads(Path("x.json").read_text())["cells"][0]["row"] == "[/row]"
    run("report", "--study", "s", "--output", "x.dat", "--format", "csv")
    assert Path("x.dat").read_text() == Path("x.csv").read_text()


@pytest.mark.parametrize("name", ["table", "x.svg", "x.png", "x.jsn", "x.csv.gz"])
def test_an_unknown_ending_is_refused_with_the_list(place, name):
    output = run("report", "--study", "s", "--output", name, code=2)
    assert "allowed: .txt, .md, .tex, .csv, .json, .html, or name it with --format" in output
    assert not Path(name).exists()
    if name == "x.jsn":
        assert "did you mean '.json'?" in output


def test_an_explanation_is_text(place):
    explained = ("report", "--study", "s", "--explain", "row", "column", "--output")
    run(*explained, "x.txt")
    assert "[/row]" in Path("x.txt").read_text()
    assert "allowed: .txt" in run(*explained, "x.csv", code=2)
    assert "--explain writes text" in run(*explained, "y.txt", "--format", "json", code=2)
    assert not Path("x.csv").exists()


def test_numbers_are_aligned_in_latex_only(place):
    run("report", "--study", "s", "--siunitx", "--output", "x.tex")
    assert "S[table-format" in Path("x.tex").read_text()
    assert "allowed: with --format latex" in run("report", "--study", "s", "--siunitx", code=2)
