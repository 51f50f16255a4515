"""The command line from outside: real processes, real Ray, real MLflow, real signals."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import sqlite3
import urllib.request
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.progress import SweepProgress
from orchestrator.execute.inline import InlineExecutor
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.sweep import run_study
from tests.processes import (
    assert_every_trial_once,
    ended,
    query,
    run,
    start,
    start_anew,
    wait_for,
    write_spec,
)


def mlflow_points() -> list[tuple[int, int]]:
    """Return (points, distinct steps) of the loss of every attempt's run."""
    with sqlite3.connect(f"file:{Path('runs/mlflow.db').resolve()}?mode=ro", uri=True) as connection:
        return connection.execute(
            "SELECT count(*), count(DISTINCT step) FROM metrics WHERE key = 'loss' GROUP BY run_uuid"
        ).fetchall()


def test_a_sweep_in_this_process_and_its_reports(place):
    spec = write_spec()
    assert "4 to run" in run("plan", str(spec))
    assert not Path("runs").exists()
    assert "simulated" in run("sweep", str(spec), "--executor", "inline")
    assert_every_trial_once(4)
    assert "0 to run, 4 done" in run("sweep", str(spec), "--executor", "inline")
    report = json.loads(run("report", "--rows", "margin", "--cols", "weight_decay", "--format", "json"))
    assert report["simulated"]
    assert {(c["row"], c["column"], c["n"]) for c in report["cells"]} == {
        (m, w, 1) for m in ("0.1", "0.5") for w in ("0.0", "0.01")
    }
    for style in ("md", "latex", "csv", "html", "rich"):
        assert "imulated" in run("report", "--format", style)
    best = json.loads(run("report", "--protocol", "best", "--format", "json"))
    assert "best epoch on the unseen test classes" in " ".join(best["caption"])
    assert run("trials", "margin=0.5").count("done") == 2
    key = query("SELECT key FROM trial LIMIT 1")[0][0]
    assert key in run("show", key[:12])
    assert "e2e" in run("status")
    assert mlflow_points() == [(4, 4)] * 4
    assert "1 done" not in run("sweep", str(spec), "--executor", "inline", "--redo")
    assert query("SELECT count(*) FROM attempt WHERE state = 'done'")[0][0] == 8


def test_bad_input_is_one_message_code_2_and_writes_nothing(place):
    Path("bad.yaml").write_text(
        "study: bad\nsedes: 1\ndefaults: {split: 55/6, dataset: ntu60}\ngrid: {gamma: [x]}\n"
    )
    message = run("sweep", "bad.yaml", code=2)
    assert "3 mistakes" in message
    assert "Traceback" not in message
    message = run("sweep", str(write_spec()), "--source", "real", code=2)
    assert "missing train.npy" in message
    assert "PKU-MMD" in message
    assert "nothing was run yet" in run("report", code=2)
    assert "--limit -1: allowed: a whole number from 1" in run("trials", "--limit", "-1", code=2)
    assert not Path("runs").exists()


def test_a_trial_that_fails_is_named_and_stays_failed_until_retry(place):
    spec = write_spec(extra="precision: fp32\n")
    flags = ("--executor", "inline", "--set", "lr=1.0e+37")
    out = run("sweep", str(spec), *flags, code=1)
    assert "failed" in out
    assert "loss became" in " ".join(out.split())
    assert "4 failed" in run("sweep", str(spec), *flags, code=1)
    assert query("SELECT DISTINCT error_kind FROM attempt") == [("non_finite",)]
    run("sweep", str(spec), *flags, "--retry", "--fail-fast", code=1)
    assert query("SELECT count(*) FROM attempt")[0][0] == 5


def test_a_trial_that_another_sweep_lets_go_is_among_those_that_end(place):
    settings = Settings.load()
    study = read_study(write_spec(epochs=1), settings)
    store = Store.open(settings.store)
    store.claim(study.slots[0].trial, "another-host/1/1/1/1/x", 3.0, {})
    plan = plan_study(study, store)
    assert (len(plan.to_run), len(plan.leased)) == (3, 1)
    shown = Console(file=io.StringIO())
    assert (
        run_study(study, plan, store, settings, InlineExecutor(0.01), SweepProgress(shown), mirror=False) == 0
    )
    assert shown.file.getvalue().endswith("4/4 trials ended\n")
    assert_every_trial_once(1)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_kill_9_of_the_driver_loses_nothing(place, executor):
    spec = write_spec(epochs=60)
    first = start("sweep", str(spec), "--executor", executor)
    wait_for(
        lambda: (
            query("SELECT 1 FROM epoch_metric WHERE epoch >= 3")
            and list(Path("runs").glob("checkpoints/*/*/*/*.pt"))
        )
    )
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    before = query("SELECT id, state FROM attempt ORDER BY id")
    assert "running" in {state for _, state in before}
    run("sweep", str(spec), "--executor", executor)
    assert_every_trial_once(60)
    assert query("SELECT count(*), sum(restarts) > 0 FROM attempt") == [(4, 1)]
    assert mlflow_points() == [(60, 60)] * 4
    assert not list(Path("runs").glob("checkpoints/*/*/*/*.pt"))


@pytest.mark.slow
def test_a_stop_signal_leaves_a_resumable_sweep(place):
    spec = write_spec(epochs=60)
    first = start("sweep", str(spec))
    wait_for(lambda: query("SELECT 1 FROM epoch_metric WHERE epoch >= 3"))
    os.kill(first.pid, signal.SIGTERM)
    out, err = first.communicate(timeout=120)
    assert first.returncode == 130, out + err
    assert "run the same command again" in err
    assert query("SELECT count(*) FROM attempt WHERE state = 'running'") == [(0,)]
    run("sweep", str(spec))
    assert_every_trial_once(60)


@pytest.mark.slow
def test_kill_9_of_a_worker_goes_on_from_its_checkpoint(place):
    spec = write_spec(epochs=60)
    sweep = start("sweep", str(spec))
    wait_for(lambda: query("SELECT 1 FROM epoch_metric WHERE epoch >= 3"))
    pid_of = "json_extract(worker, '$.pid')"
    running = f"SELECT {pid_of} FROM attempt WHERE state = 'running' AND {pid_of} IS NOT NULL LIMIT 1"
    (pid,) = wait_for(lambda: query(running))[0]
    os.kill(pid, signal.SIGKILL)
    out, err = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, out + err
    assert "restarted" in err
    assert_every_trial_once(60)


TUNE_TRIALS = """
import atexit, gc
from orchestrator.execute.ray_hooks import InOrder
from ray.tune.experiment import Trial
kept, choose = [], InOrder.choose_trial_to_run
def count(self, controller):
    kept.append(sum(type(found) is Trial for found in gc.get_objects()))
    return choose(self, controller)
InOrder.choose_trial_to_run = count
atexit.register(lambda: print("Tune had", max(kept), "trials at once"))
"""


@pytest.mark.slow
def test_tune_keeps_nothing_of_trials_that_have_ended(place):
    path = write_spec(epochs=1)
    path.write_text(path.read_text().replace("seeds: 1", "seeds: 6"))
    out = ended(start_anew("sweep", "spec.yaml", before=TUNE_TRIALS))
    assert_every_trial_once(1, 24)
    most = int(re.search(r"Tune had (\d+) trials at once", out)[1])
    assert 0 < most <= 4 * os.cpu_count() + 4


@pytest.mark.slow
def test_mlflow_may_be_down_and_is_caught_up(place):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    out = run("sweep", str(write_spec()), "--executor", "inline", MLFLOW_TRACKING_URI=uri)
    assert "dvta-orch mirror catches up" in out
    assert_every_trial_once(4)
    server = start("ui", "--port", str(port))
    try:
        wait_for(lambda: urllib.request.urlopen(f"{uri}/health", timeout=1).status == 200)
        assert "4 attempts mirrored" in run("mirror", MLFLOW_TRACKING_URI=uri)
        assert "0 attempts mirrored" in run("mirror", MLFLOW_TRACKING_URI=uri)
        from mlflow import MlflowClient

        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name("e2e")
        runs = client.search_runs([experiment.experiment_id])
        (parent,) = [r for r in runs if "dvta.study" in r.data.tags]
        children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert len(children) == 4
        for child in children:
            assert child.info.status == "FINISHED"
            assert child.data.params["epochs"] == "4"
            assert child.data.tags["dvta.source"] == "simulated"
            assert len(client.get_metric_history(child.info.run_id, "accuracy")) == 4
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


@pytest.mark.slow
def test_a_search_killed_half_way_ends_with_every_candidate_told_once(place):
    search = (
        "search: {trials: 6, sampler: tpe, space: {lr: {type: float, low: 0.0001, high: 0.1, log: true}}}\n"
    )
    spec = write_spec(epochs=40, extra=search)
    flags = ("--executor", "inline")
    first = start("sweep", str(spec), *flags)
    wait_for(lambda: query("SELECT count(*) FROM attempt WHERE state = 'done'")[0][0] >= 8)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    run("sweep", str(spec), *flags)
    with sqlite3.connect("runs/optuna.db") as connection:
        told = connection.execute("SELECT state, count(*) FROM trials GROUP BY state").fetchall()
    assert told == [("COMPLETE", 24)]
    assert query("SELECT evaluate_on, count(*) FROM trial GROUP BY evaluate_on") == [
        ("unseen", 4),
        ("validation", 24),
    ]
    assert {n for (n,) in query("SELECT count(*) FROM attempt WHERE state = 'done' GROUP BY trial_id")} == {1}
    report = json.loads(run("report", "--format", "json"))
    tuned = [c for c in report["cells"] if c["row"].endswith("tuned")]
    assert [c["n"] for c in tuned] == [1] * 4
