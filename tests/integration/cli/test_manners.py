"""How commands behave: what goes where, in how many columns, in which colours, and what they say of themselves."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from typer.main import get_command

from dvta import datasets
from dvta.datasets.stand_in import StandIn
from orchestrator.cli import main, status
from orchestrator.cli.examples import EXAMPLES
from orchestrator.records import Outcome, Slot
from orchestrator.store.find import list_trials
from orchestrator.tables import EXTRA
from tests.commands import commands, help_of
from tests.study_store import make_store

SPEC = """
study: mannered
defaults: {dataset: pku, split: smie_7, visual: st_gcn, train_per_class: 2, test_per_class: 2, epochs: 1}
grid: {gamma: [GAMMA]}
seeds: 1
"""
ANSI = re.compile("\x1b\\[")


def run(*arguments, **environment):
    """Run the program itself; return its exit code, standard output and standard error."""
    code = "from orchestrator.cli.main import app; app(prog_name='dvta-orch')"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_every_command_has_one_or_two_examples_that_it_understands():
    found = {" ".join(words) for words in commands()}
    assert set(EXAMPLES) == found
    count = 0
    for name, examples in EXAMPLES.items():
        assert 1 <= len(examples) <= 2
        shown = help_of(*name.split())
        for example in examples:
            assert len(example) <= 64
            assert f" dvta-orch {example}" in shown
            words = [word for word in shlex.split(example) if word not in ("--quiet",)]
            command = get_command(main.app)
            for word in name.split():
                assert words.pop(0) == word
                command = command.commands[word]
            command.make_context(name, words)  # an unknown flag or a wrong value ends it
            count += 1
    assert count >= 35


def test_a_sweep_talks_on_standard_error_alone_and_as_much_as_asked(place, monkeypatch):
    def sweep(gamma, *flags):
        (place / "spec.yaml").write_text(SPEC.replace("GAMMA", gamma))
        code, out, err = run(*flags, "sweep", "spec.yaml", "--executor", "inline", MLFLOW_TRACKING_URI=uri)
        assert (code, out) == (0, "")
        return err

    uri = f"sqlite:///{place}/mlflow.db"
    usual = sweep("0.1")
    assert usual.startswith("1 cell, 1 distinct trial (1 seed): 1 to run")
    assert usual.endswith("1/1 trials ended\nsee the results with: dvta-orch report\n")
    assert "started" not in usual
    assert sweep("0.2", "--quiet") == ""
    more = sweep("0.3", "--verbose")
    assert re.search(r"^started dvta\[.*gamma=0.3\]\n(.*\n)*done dvta\[.*gamma=0.3\]$", more, re.MULTILINE)
    code, out, err = run("-q", "plan", "spec.yaml")
    assert (code, err) == (0, "")
    assert "0 to run, 1 done" in out
    (place / "spec.yaml").write_text(SPEC.replace("GAMMA", "x"))
    code, out, err = run("-q", "plan", "spec.yaml")
    assert (code, out) == (2, "")
    assert "1 mistake" in err


def test_version_and_two_wishes_that_do_not_go_together(place, invoke):
    assert invoke("--version") == f"dvta-orch {version('dvta-orch')}\n"
    invoke("--quiet", "--verbose", "status", code=2, err="--quiet, --verbose: allowed: one of them")


@pytest.mark.parametrize(
    "words", ["--help", "sweep --help", "data list --help", "--version", "--show-completion bash"]
)
def test_help_that_cannot_be_written_ends_as_a_command_does(place, words):
    code = "from orchestrator.cli.main import app; app()"
    command = [sys.executable, "-c", code, *words.split()]
    # the shell is the one that is named, whatever started the tests
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed, open("/dev/full", "wb") as full:
        for target, ends, message in (
            (closed, 141, ""),
            (full, 2, "error: the output cannot be written (No space left on device)\n"),
            (subprocess.DEVNULL, 0, ""),
        ):
            done = subprocess.run(
                command, stdout=target, stderr=subprocess.PIPE, text=True, check=False, env=environment
            )
            assert (done.returncode, done.stderr) == (ends, message)


def test_no_color_means_no_colour_and_nothing_is_wider_than_80_columns(store):
    count = 0
    forced = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    for command in (("status",), ("trials",), ("report",), ("--help",), ("trials", "--help")):
        assert ANSI.search(run(*command, **forced)[1]) or command[0] in ("status", "trials")
        code, out, err = run(*command, NO_COLOR="1", **forced)
        assert (code, err) == (0, "")
        assert not re.search("\x1b\\[[0-9;]*3[0-7]", out), command
        count += 1
    for command in (("status",), ("trials",), ("--help",), *((*words, "--help") for words in commands()[:6])):
        code, out, err = run(*command, COLUMNS="80")
        assert max(map(len, out.splitlines())) <= 80, command
        count += 1
    assert count == 14


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", {"COMP_WORDS": "dvta-orch tri", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "dvta-orch tri"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "dvta-orch tri", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_shells_complete_commands(place, shell, words):
    assert "trials" in run(_DVTA_ORCH_COMPLETE=f"complete_{shell}", **words)[1]


def test_shells_complete_the_names_of_studies(store, tmp_path, monkeypatch):
    words = {
        "COMP_WORDS": "dvta-orch report --study m",
        "COMP_CWORD": "3",
        "_DVTA_ORCH_COMPLETE": "complete_bash",
    }
    assert run(**words)[1].split() == ["made"]
    monkeypatch.chdir(tmp_path.parent)
    code, out, err = run(**words)
    assert (code, out.split(), err) == (0, [], "")


def test_status_is_watched_on_a_terminal_only(store, invoke):
    assert "made" in invoke("status", "--watch", err="--watch needs a terminal")
    invoke("status", "--watch", "--json", code=2, err="allowed: without --json and --csv")


def test_a_watch_ends_with_the_last_running_trial_and_with_an_interruption(store, monkeypatch, invoke):
    trial = store.trial(list_trials(store)[1][-1].key)
    claim = store.claim(trial, "host/me", 60, {})
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            store.record(claim.attempt_id, "host/me", [], outcome=Outcome({"final_accuracy": 0.5}, {}, 1.0))

    monkeypatch.setattr(status.time, "sleep", sleep)
    status._watch(store, "made", 0.5)
    assert looks == [0.5, 0.5]

    def interrupted(seconds):
        raise KeyboardInterrupt

    other = list_trials(store)[1][-1].key
    store.claim(store.trial(other), "host/me", 60, {}, replaces=store.statuses([other])[other].attempt_id)
    monkeypatch.setattr(status.time, "sleep", interrupted)
    status._watch(store, "made", 0.5)
    assert json.loads(invoke("status", "--json"))["studies"][0]["counts"]["running"] == 1


def test_the_help_of_report_names_every_table():
    shown = " ".join(help_of("report").replace("│", " ").split())
    assert all(name in shown for name in ("1 to 9 of the paper", *EXTRA))


def test_studies_stand_side_by_side_and_one_table_needs_no_name(place, invoke, monkeypatch):
    store = make_store(place, seeds=1)
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{place}/dvta.db")
    trials = [store.trial(value.key) for value in list_trials(store)[1]]
    slots = [Slot("grid", f"row {n % 2}", f"split_{n % 2 + 2}", trial) for n, trial in enumerate(trials[:2])]
    store.save_study("after", "", slots)
    table = json.loads(invoke("report", "--study", "made", "--study", "after", "--json"))
    places = {(cell["row"], cell["column"]): cell for cell in table["cells"]}
    columns = list(dict.fromkeys(column for _, column in places))
    assert columns == ["split_1 (made)", "split_2 (made)", "split_2 (after)", "split_3 (after)"]
    assert len(places) == 6 * 4
    assert places["gamma=0.01", "split_1 (made)"]["mean"] == 50.0
    assert places["gamma=0.01", "split_2 (after)"]["missing"] == "not part of this study"
    assert places["row 0", "split_2 (after)"]["n"] == 1
    assert [line for line in table["caption"] if line.startswith("after: ")]
    invoke("report", "--study", "made", "--study", "after", "--explain", "a", "b", code=2, err="one --study")
    store.save_study("five", "", [Slot("table5", "None", "NTU-60 55/5", trials[0])])
    assert invoke("report", "--study", "five").startswith("Table 5: ")
    two = [Slot(name, "row", "column", trials[0]) for name in ("table5", "leaderboard")]
    store.save_study("two", "", two)
    invoke("report", "--study", "two", code=2, err="study 'two' has no grid; give --table 5 or leaderboard\n")


def test_a_plan_counts_the_trials_that_read_simulated_features(place, invoke):
    (place / "s.yaml").write_text(
        "study: s\ndefaults: {dataset: pku, visual: st_gcn}\ngrid: {split: [smie_7, smie_8], gamma: [0.1, 0.2]}\n"
    )
    said = "visual features: simulated (no real ones in the data root"
    assert said in invoke("plan", "s.yaml")
    pku = datasets.get("pku")
    folder = place / "data/pku/features/st_gcn/smie_7"
    folder.mkdir(parents=True)
    small = StandIn(train_per_class=3, test_per_class=3)
    for name, array in small.generate(pku, pku.split("smie_7"), "st_gcn").items():
        np.save(folder / f"{name}.npy", array)
    assert said.replace("simulated", "simulated in 2 of the trials", 1) in invoke("plan", "s.yaml")
    assert json.loads(invoke("plan", "s.yaml", "--json"))["simulated_trials"] == 2
