"""Specs that were made to hang, to eat memory or to trace back: one message, at once, with nothing written."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from dvta.datasets.stand_in import StandIn
from dvta.end_to_end_config import EndToEndConfig
from dvta.errors import OptionError
from dvta.methods import METHODS, Method
from dvta.options import Options
from dvta.training_config import EncoderConfig, TrainingConfig
from orchestrator.cli import main as cli
from orchestrator.errors import SpecError
from orchestrator.settings import Settings
from orchestrator.spec.configuration import check_option_names, taken_names
from orchestrator.spec.load import load_spec
from orchestrator.study.study import read_study
from orchestrator.trial import Trial, flat_config
from tests.conftest import forget_settings
from tests.processes import apart, run
from tests.refused_specs import CANNOT_RUN, HEAD, MADE, SINGLE, load_within_bounds

#: file of ``cases/specs`` -> what its message says
CASES = {
    "bomb.yaml": "aliases followed; allowed: 20 levels and 50,000 values",
    "chain0.yaml": "chain1.yaml: cannot be read (No such file or directory)",
    "deep_flow.yaml": "nested too deeply",
    "deep_map.yaml": "nested too deeply",
    "ext_zero.yaml": "/dev/zero: not a file",
    "grid1e5seeds.yaml": "100,000,000 trials; allowed: 1,000,000",
    "grid1e9.yaml": "1,000,000,000 trials; allowed: 1,000,000",
    "grid_key_num.yaml": "a key must be a text; quote it: '1'",
    "int_tag.yaml": "'' is no !!int",
    "map_tag.yaml": "a spec is a mapping",
    "null_tag.yaml": "YAML reads 'abc' as !!timestamp",
    "recursive.yaml": "line 3: a value that contains itself",
    "recursive2.yaml": "line 1: a value that contains itself",
    "text_long.yaml": "a text of 5,000 characters; allowed: at most 500",
    "vis_long.yaml": "a text of 5,000 characters; allowed: at most 500",
}


def within_bounds(path: Path) -> tuple[int | None, str]:
    """Load a spec in a process of its own that gets little time and memory; return its exit status and message."""
    status, found = apart(load_within_bounds, path)
    return found or (status, "")


def test_every_case_is_refused_in_little_time_and_memory(shared):
    files = sorted((shared / "cases/specs").iterdir())
    assert [f.name for f in files] == sorted(CASES)
    assert len(files) == 15
    for file in files:
        status, message = within_bounds(file)
        assert (status, CASES[file.name] in message) == (2, True), f"{file.name}: {status} {message}"


@pytest.mark.parametrize("kind", MADE)
def test_their_kinds_are_refused_too(tmp_path, kind):
    text, expected = MADE[kind]
    (tmp_path / "s.yaml").write_text(text)
    status, message = within_bounds(tmp_path / "s.yaml")
    assert (status, expected in message) == (2, True), f"{status} {message}"
    assert len(message) < 20_000
    assert message.count("allowed: aa, ") <= 1  # a long list stands there once


def test_a_parent_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "s.yaml").write_text("extends: pipe\nstudy: x\n")
    assert within_bounds(tmp_path / "s.yaml") == (
        2,
        f"{tmp_path}/pipe: not a file; allowed: a regular file of YAML text",
    )
    for i in range(12):
        (tmp_path / f"c{i}.yaml").write_text(f"extends: c{i + 1}.yaml\nstudy: x\n")
    assert "more than 10 files extend one another" in within_bounds(tmp_path / "c0.yaml")[1]


def test_a_spec_may_raise_the_limit(tmp_path):
    text = HEAD + "grid: {gamma: [0.1, 0.2]}\nseeds: 3\n"
    (tmp_path / "s.yaml").write_text(text + "max_trials: 5\n")
    with pytest.raises(
        SpecError, match="2 cells with 3 seeds are 6 trials; allowed: 5, or as many as max_trials"
    ):
        load_spec(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text(text + "max_trials: 6\n")
    assert load_spec(tmp_path / "s.yaml").max_trials == 6


def test_mistakes_of_every_kind_are_said_at_once(tmp_path):
    (tmp_path / "s.yaml").write_text(MADE["three mistakes of three kinds"][0])
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "s.yaml")
    for part in ("unknown name 'taux'", "'oficial' is unknown", "split '55/6'", "gamma: -1.0 is impossible"):
        assert part in str(caught.value)


# --- options of somebody's method -------------------------------------------------------------


def method_with(option: str) -> type[Method]:
    options = dataclasses.make_dataclass(
        "Mine", [(option, str, dataclasses.field(default="mine"))], bases=(Options,), frozen=True
    )
    return type("Colliding", (Method,), {"options_class": options, "__module__": "mine"})


def every_taken_name() -> list[str]:
    fields = [
        f.name
        for holder in (Trial, TrainingConfig, StandIn, EndToEndConfig)
        for f in dataclasses.fields(holder)
    ]
    return sorted({*fields, "train", "name", "visual_dim", "text_dim", "preset"})


@pytest.mark.parametrize("option", every_taken_name())
def test_an_option_that_has_the_name_of_something_else_is_refused(option, tmp_path, monkeypatch):
    method = method_with(option)
    with pytest.raises(
        OptionError, match=rf"mine\.Colliding: '{option}' is (a field of|an argument of|what a trial trains)"
    ):
        check_option_names(method, TrainingConfig)
    monkeypatch.setitem(METHODS._objects, "colliding", method)
    (tmp_path / "s.yaml").write_text(
        "study: s\ndefaults: {dataset: ntu60, split: 55/5, method: colliding}\ngrid: {tau: [0.1]}\n"
    )
    with pytest.raises(SpecError, match=f"'{option}' is (a|what a)"):
        read_study(tmp_path / "s.yaml", Settings(tmp_path, str(tmp_path), "", ""))


def test_there_are_as_many_names_as_there_are_and_no_method_here_has_one():
    assert len(every_taken_name()) == 41
    assert set(every_taken_name()) == set(taken_names(TrainingConfig))
    assert len(METHODS.names()) >= 9
    for name in METHODS.names():
        check_option_names(METHODS.get(name), TrainingConfig)
    assert set(taken_names(EncoderConfig)) > {"seed", "epochs"}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Trial)])
def test_identity_wins_in_every_merge(name):
    trial = Trial(
        "m",
        1,
        "ntu60",
        "55/5",
        "v",
        "t",
        3,
        "simulated",
        "d" * 64,
        {name: "mine"},
        {name: "mine"},
        {name: "mine"},
    )
    assert (
        trial.config().get(name)
        == {**trial.to_dict(), "options": None, "training": None, "stand_in": None}[name]
    )
    assert flat_config({"source": "simulated"}, {name: "mine"}) == {"source": "simulated"}


# --- refused means that nothing is written ----------------------------------------------------

SEARCHED = """study: s
defaults: {dataset: pku, split: smie_7, visual: st_gcn, epochs: 1, train_per_class: 1, test_per_class: 1}
grid: {gamma: [0.1]}
search: {trials: 1, sampler: random, space: SPACE}
"""
SPACES = {
    "log": "{tau: {type: float, low: 0.1, high: 1.0, log: true}}",
    "another type": "{tau: {type: categorical, choices: [0.1, 0.5]}}",
    "another choice": "{aa: {type: categorical, choices: [false]}}",
}


def invoke(*arguments: str) -> int:
    try:
        return cli.app(list(arguments), standalone_mode=False) or 0
    except SystemExit as stop:
        return stop.code


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Return a folder in which a search has run."""
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    space = "{tau: {type: float, low: 0.1, high: 1.0}, aa: {type: categorical, choices: [true, false]}}"
    Path("s.yaml").write_text(SEARCHED.replace("SPACE", space))
    # in processes of their own: what an engine left open is written at its end
    run("sweep", "s.yaml", "--executor", "inline")
    return tmp_path


def test_what_is_refused_leaves_every_byte_as_it_was(searched, capfd):
    refused = {name: SEARCHED.replace("SPACE", space) for name, space in SPACES.items()}
    refused |= {name: text for name, (text, _) in MADE.items()}
    refused["real data"] = HEAD.replace("study: x", "study: s") + "grid: {gamma: [0.1]}\nsource: real\n"
    refused["two impossible together"] = HEAD + "grid: {epochs: [5], warmup_epochs: [7]}\n"
    refused |= dict(enumerate((text for text, _ in SINGLE), 1))
    refused |= {text: "study: s\n" + text for text, _ in CANNOT_RUN}
    assert len(refused) == 86
    # MLflow and the stores settle when they are opened once more
    run("plan", "s.yaml")
    before = contents(searched / "runs")
    assert {Path(p).name for p in before} >= {"dvta.db", "mlflow.db", "optuna.db"}
    for name, text in refused.items():
        Path("s.yaml").write_text(text)
        for command in (("plan",), ("sweep", "--executor", "inline")):
            assert invoke(command[0], "s.yaml", *command[1:]) == 2, (name, command)
            assert contents(searched / "runs") == before, (name, command)
        assert "Traceback" not in capfd.readouterr().err


def test_a_search_that_cannot_go_on_says_what_it_has(searched, capfd):
    Path("s.yaml").write_text(SEARCHED.replace("SPACE", SPACES["log"]))
    assert invoke("plan", "s.yaml") == 2
    message = capfd.readouterr().err
    assert "s.yaml: search.space.tau" in message
    assert "cannot continue the search 's:gamma=0.1'" in message


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("builtins.print", "loss 'builtins.print' cannot be called as (v2t"),
        ("os.path", "loss 'os.path' cannot be called as (v2t"),
        ("leaver.loss", "loss 'leaver.loss' cannot be imported: SystemExit: 0"),
    ],
)
def test_a_loss_that_is_none_is_refused(tmp_path, monkeypatch, loss, message):
    (tmp_path / "leaver.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "s.yaml").write_text(HEAD + f"grid: {{loss: ['{loss}']}}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "s.yaml")
    assert message in str(caught.value)
