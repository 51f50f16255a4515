"""The story of a trial: where it belongs, how it learned, what went wrong, and what its worker printed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.show import BARS, WIDEST, sparkline
from orchestrator.records import Outcome
from orchestrator.settings import log_path
from orchestrator.store import Store
from orchestrator.store.find import list_trials

OWN = '''
import sys
from dvta.methods.devise import DeViSE

class Talks(DeViSE):
    """Prints in every epoch, and fails in the third where it is told to."""
    def begin_epoch(self, epoch, epochs):
        print("epoch", epoch, "begins")
        print("to stderr", file=sys.stderr)
        if epoch == 3 and self.options.margin > 0.5:
            raise KeyError("a mistake in a user's method")
'''
SPEC = """
study: talking
defaults: {method: talks.Talks, dataset: pku, split: smie_7, visual: st_gcn, train_per_class: 2, test_per_class: 2,
           epochs: 4}
grid: {margin: [0.1, 0.9]}
seeds: 1
"""


@pytest.fixture
def talking(place, monkeypatch):
    """Write a method that prints and a spec of it."""
    Path("talks.py").write_text(OWN)
    Path("spec.yaml").write_text(SPEC)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")


def keys(invoke, *filters):
    return [trial["key"] for trial in json.loads(invoke("trials", *filters, "--json"))["trials"]]


def test_a_failed_trial_tells_its_story_and_the_sweep_says_how_to_read_it(talking, invoke):
    sweep = ("sweep", "spec.yaml", "--executor", "inline")
    out = invoke(*sweep, code=1, err="1 trial failed; why: dvta-orch show ")
    assert "to run" not in out
    (failed,), (done,) = keys(invoke, "state=failed"), keys(invoke, "state=done")
    invoke(*sweep, code=1, err=f"dvta-orch show {failed[:10]}; again: the same command with --retry\n")
    story = invoke("show", failed[:10])
    for line in (
        "state                  failed\n",
        'error                  error: KeyError: "a mistake in a user\'s method"\n',
        "cell                   study talking, grid: margin=0.9, accuracy\n",
        f"/runs/logs/{failed[:2]}/{failed}/1.log on ",
        'talks.py", line 11, in begin_epoch\n',
        'KeyError: "a mistake in a user\'s method"\n',
        ", epochs 1 to 2\n",
    ):
        assert line in story
    assert "attempt 1              failed on " in story
    log = invoke("show", failed[:10], "--log")
    assert log.count("epoch") - log.count("epochs") >= 3
    for line in ("epoch 1 begins\nto stderr\nepoch 2 begins", "begins\nto stderr\nTraceback", "KeyError"):
        assert line in log
    assert invoke("show", done, "--log").count(" begins\nto stderr\n") == 4
    assert "class 1 " in invoke("show", done)
    invoke(*sweep, "--retry", code=1, err="1 trial failed")
    assert "attempt 2              failed on " in invoke("show", failed)
    assert invoke("show", failed, "--log") != invoke("show", failed, "--log", "--attempt", "1")
    invoke("show", failed, "--log", "--attempt", "3", code=2, err="attempts: 1, 2")
    invoke("show", failed, "--log", "--json", code=2, err="allowed: one of them")


def test_a_good_sweep_says_how_to_see_its_results(talking, invoke):
    sweep = ("sweep", "spec.yaml", "--executor", "inline", "--set", "margin=0.1")
    invoke(*sweep, err="see the results with: dvta-orch report\n")
    Path("spec.yaml").write_text(SPEC.replace("study: talking", "study: quiet").replace(", 0.9", ""))
    invoke(*sweep, err="see the results with: dvta-orch report --study quiet\n")
    assert invoke("report", "--study", "quiet").startswith("Study quiet")


def test_no_output_is_kept_where_the_setting_says_so(talking, invoke, monkeypatch):
    monkeypatch.setenv("DVTA_LOG_KIB", "0")
    invoke("sweep", "spec.yaml", "--executor", "inline", code=1)
    assert not Path("runs/logs").exists()
    (failed,) = keys(invoke, "state=failed")
    assert invoke("show", failed, "--log", code=0, err="attempt 1 printed nothing") == ""


def test_a_log_of_another_host_and_of_a_killed_worker(store, place, invoke):
    trial = store.trial(list_trials(store)[1][-1].key)
    invoke("show", trial.key, "--log", code=2, err="attempts: none")
    claim = store.claim(trial, "me", 60, {})
    path = Path(log_path(str(place / "runs"), trial.key, 1))
    path.parent.mkdir(parents=True)
    path.write_text("last words\n")
    assert invoke("show", trial.key, "--log") == "last words\n"
    worker = {"host": "far", "log": "/nowhere/1.log"}
    outcome = Outcome({"final_accuracy": 0.5}, {}, 1.0)
    Store.open(f"sqlite:///{place}/runs/dvta.db").record(
        claim.attempt_id, "me", [], outcome=outcome, worker=worker
    )
    assert "log                    /nowhere/1.log on far\n" in invoke("show", trial.key)
    invoke(
        "show",
        trial.key,
        "--log",
        code=2,
        err="/nowhere/1.log: is not on this machine; it was written on far",
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_a_sparkline_rises_where_its_values_rise(values):
    line = sparkline(values)
    assert len(line) == min(len(values), WIDEST)
    assert set(line) <= set(BARS)
    if len(values) <= WIDEST:
        heights = [BARS.index(bar) for bar in line]
        for (a, x), (b, y) in zip(
            zip(values, heights, strict=True), zip(values[1:], heights[1:], strict=True), strict=False
        ):
            assert (x <= y) if a <= b else (x >= y)


def test_a_sparkline_marks_what_is_not_finite():
    assert sparkline([0.0, float("nan"), 1.0, float("inf")]) == "▁!█!"
    assert sparkline([2.0, 2.0]) == "▁▁"
