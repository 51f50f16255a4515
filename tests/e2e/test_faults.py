"""Faults done for real: a full disk, a torn checkpoint, memory that runs out, an older and a newer store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
import torch

from orchestrator.execute.cluster import ClusterError
from orchestrator.execute.gpu_share import gpu_share
from orchestrator.execute.ray_cluster import check_resources
from orchestrator.spec.model import Resources
from tests.conftest import ROOT
from tests.processes import assert_every_trial_once, query, run, start, wait_for, write_spec


@pytest.fixture
def small_disk(place):
    """Mount a disk of 3 MiB at ``disk``, or skip."""
    folder = place / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root and a kernel that allows it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


@pytest.mark.slow
def test_a_full_disk_fails_trials_by_name_and_a_retry_goes_on(small_disk):
    # a checkpoint of DVTA with its optimiser is larger than the disk; the store lies elsewhere
    spec = write_spec(epochs=3)
    places = {"DVTA_RUNS": str(small_disk), "DVTA_STORE": f"sqlite:///{Path.cwd()}/runs/dvta.db"}
    Path("runs").mkdir()
    mlflow = {"MLFLOW_TRACKING_URI": f"sqlite:///{Path.cwd()}/runs/mlflow.db"}
    out = run("sweep", str(spec), "--executor", "inline", code=1, **places, **mlflow)
    assert "No space left on device" in out
    assert "Traceback" not in out
    assert query("SELECT DISTINCT state, error_kind FROM attempt") == [("failed", "disk")]
    assert not list(small_disk.rglob("*.partial"))
    places["DVTA_RUNS"] = str(Path.cwd() / "runs")
    run("sweep", str(spec), "--executor", "inline", "--retry", **places, **mlflow)
    assert query("SELECT state, count(*) FROM attempt GROUP BY state") == [("done", 4), ("failed", 4)]


OF_SOMETHING_ELSE = {
    "half of it": None,
    "a list": [1, 2],
    "other names": {"weights": torch.zeros(3)},
    "another model": {"fit": {"epoch": 3, "method": {"w": torch.zeros(2)}}, "history": [], "seconds": 0.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("content", OF_SOMETHING_ELSE)
def test_a_checkpoint_that_cannot_be_used_costs_the_epochs_since_the_one_before(place, content):
    spec = write_spec(epochs=60)
    first = start("sweep", str(spec), "--executor", "inline")
    wait_for(lambda: sorted(Path("runs").glob("checkpoints/*/*/*/epoch-0000[1-3]*.pt"))[1:])
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    newest = max(Path("runs").glob("checkpoints/*/*/*/*.pt"), key=lambda p: p.name)
    assert newest.stat().st_size > 1000
    if OF_SOMETHING_ELSE[content] is None:
        newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    else:
        torch.save(OF_SOMETHING_ELSE[content], newest)
    out = run("sweep", str(spec), "--executor", "inline")
    assert "the one before is" in out
    assert "Traceback" not in out
    assert_every_trial_once(60)


METHOD = '''
from pathlib import Path
import torch
from dvta.methods.devise import DeViSE

class Greedy(DeViSE):
    """Runs out of memory in its third epoch, the first time."""
    def begin_epoch(self, epoch, epochs):
        marker = Path("oom-%d" % self.options.margin.__hash__())
        if epoch == 3 and not marker.exists():
            marker.touch()
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (made here)")

class Hungry(DeViSE):
    """Runs out of memory always."""
    def begin_epoch(self, epoch, epochs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory (made here)")

class Broken(DeViSE):
    def training_loss(self, visual, labels, text):
        print("about to fail")
        raise KeyError("a mistake in a user's method")
'''
OWN = """
study: own
defaults: {dataset: pku, split: smie_7, visual: st_gcn, train_per_class: 2, test_per_class: 2, epochs: 5}
grid: {method: [NAMES]}
checkpoint: {every_seconds: 0}
seeds: 1
"""


def own_spec(*names: str) -> str:
    Path("greedy.py").write_text(METHOD)
    Path("own.yaml").write_text(OWN.replace("NAMES", ", ".join(f"greedy.{n}" for n in names)))
    return "own.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_memory_that_runs_out_is_tried_again_alone_at_the_end(place, executor):
    spec = own_spec("Greedy", "Hungry")
    out = run("sweep", spec, "--executor", executor, code=1, PYTHONPATH=str(place))
    assert "it is tried again alone at the end" in out
    states = dict(query("SELECT t.method, a.state FROM attempt a JOIN trial t ON t.id = a.trial_id"))
    assert states == {"greedy.Greedy": "done", "greedy.Hungry": "failed"}
    assert query("SELECT error_kind FROM attempt WHERE state = 'failed'") == [("out_of_memory",)]
    # what was trained before the memory ran out was not trained again
    greedy = "SELECT count(*), count(DISTINCT epoch) FROM epoch_metric WHERE metric = 'loss'"
    assert query(greedy) == [(5, 5)]
    assert query("SELECT restarts FROM attempt ORDER BY restarts") == [(1,), (1,)]


def test_a_mistake_in_a_users_method_fails_that_trial_alone(place):
    out = run("sweep", own_spec("Broken", "Greedy"), "--executor", "inline", code=1, PYTHONPATH=str(place))
    assert "KeyError" in out
    assert "a mistake in a user's method" in " ".join(out.split())
    trace = query("SELECT traceback FROM attempt WHERE state = 'failed'")[0][0]
    assert "greedy.py" in trace
    assert query("SELECT state, count(*) FROM attempt GROUP BY state") == [("done", 1), ("failed", 1)]


@pytest.mark.slow
def test_what_a_worker_of_the_cluster_prints_is_kept(place):
    out = run("sweep", own_spec("Broken"), code=1, PYTHONPATH=f"{place}{os.pathsep}{ROOT}")
    ((key, host),) = query(
        "SELECT t.key, json_extract(a.worker, '$.host') FROM attempt a JOIN trial t ON t.id = a.trial_id"
    )
    assert f"why: dvta-orch show {key[:10]}; again: the same command with --retry" in out
    log = place / "runs" / "logs" / key[:2] / key / "1.log"
    assert f"log                    {log} on {host}\n" in run("show", key)
    printed = run("show", key, "--log")
    assert "\nabout to fail\nTraceback" in printed
    assert 'KeyError: "a mistake in a user\'s method"' in printed


def test_an_older_store_is_migrated_with_a_backup_and_a_newer_one_refused(place):
    Path("runs").mkdir()
    shutil.copyfile(ROOT / "tests/assets/store_v0001.db", "runs/dvta.db")
    assert "schema 0003" in run("db", "upgrade")
    assert Path("runs/dvta.db.before-0003").is_file()
    assert "schema 0003, 1 study," in run("db", "check")
    assert "attempt.csv: 1 row\n" in run("db", "export", "out")
    assert Path("out/epoch_metric.csv").read_text().splitlines()[0] == "attempt_id,epoch,metric,value,time"
    with sqlite3.connect("runs/dvta.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    assert "newer than this program's 0003" in run("status", code=2)


def test_the_doctor_names_what_is_wrong_with_its_remedy(place):
    out = run("doctor")
    assert out.count("\n") >= 6
    assert "WRONG" not in out
    out = run(
        "doctor", code=1, RAY_ADDRESS="127.0.0.1:1", DVTA_STORE="postgresql://nobody:secret@127.0.0.1:1/none"
    )
    wrong = [line for line in out.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 2
    assert "ray start --head" in wrong[0]
    assert "secret" not in out
    run("profile", "devise")
    assert "up to date" in run("doctor")
    nobody = "http://me:secret@127.0.0.1:1"
    out = run("doctor", code=1, MLFLOW_TRACKING_URI=nobody)
    assert "WRONG MLflow http://127.0.0.1:1: no server answers" in out
    assert "secret" not in out + run("ui", code=2, MLFLOW_TRACKING_URI=nobody)


@pytest.mark.parametrize(
    ("peak", "total", "share"),
    [
        (0, 0, 1.0),
        (100, 0, 1.0),
        (1, 80_000, 0.05),
        (10_000, 80_000, 0.15),
        (33_333, 80_000, 0.5),
        (79_000, 80_000, 1.0),
    ],
)
def test_a_share_of_a_gpu_is_a_fifth_above_the_measured_peak(peak, total, share):
    assert gpu_share(peak, total) == pytest.approx(share)


@pytest.mark.slow
def test_gpus_auto_probes_with_one_trial_and_without_gpus_is_none(place):
    spec = write_spec(epochs=2, resources=", gpus_per_trial: auto")
    run("sweep", str(spec))
    assert_every_trial_once(2)


@pytest.mark.slow
def test_what_no_node_can_hold_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    import ray

    ray.init("local", num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        check_resources(Resources(cpus_per_trial=1, gpus_per_trial=0.5))
        with pytest.raises(ClusterError, match="the largest node has 1 CPUs and 1 GPUs"):
            check_resources(Resources(gpus_per_trial=2))
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_resources_that_no_node_has_write_nothing(place):
    spec = write_spec(resources=", cpus_per_trial: 6400")
    assert "asks for 6400 CPUs" in run("sweep", str(spec), code=2)
    assert not Path("runs").exists()


def test_reports_explain_and_compare_from_the_command_line(place):
    Path("t.yaml").write_text(
        "study: t\ntables: [5]\nwhere: {dataset: ntu60, split: 55/5}\nseeds: 6\n"
        "defaults: {epochs: 1, train_per_class: 1, test_per_class: 2}\n"
    )
    run("sweep", "t.yaml", "--executor", "inline")
    out = run("report", "--table", "5", "--explain", "sigmoid", "55/5")
    assert out.count("trial ") == 6
    assert out.count("<- this number") == 6
    assert "commit " in out
    assert "MLflow run " in out
    assert "digest " in out
    assert "names 4 of the table's" in run("report", "--table", "5", "--explain", "0.", "55/5", code=2)
    compared = json.loads(run("report", "--table", "5", "--compare", "None", "--format", "json"))
    paired = {c["row"]: c["paired"] for c in compared["cells"]}
    assert paired.pop("None") is None
    assert len(paired) == 5
    assert all((len(p["differences"]), p["seeds"], p["p"]) == (1, [6], None) for p in paired.values())
    assert "did you mean" in run("report", "--rows", "gama", code=2)
    assert "allowed: 1 to 9, gzsl" in run("report", "--table", "10", code=2)


def test_figures_and_the_page_of_a_study(place):
    Path("f.yaml").write_text(
        "study: f\ntables: [5, 6]\nwhere: {text: sbert, split: [96/24]}\nseeds: 1\n"
        "defaults: {epochs: 2, train_per_class: 1, test_per_class: 2}\n"
    )
    run("sweep", "f.yaml", "--executor", "inline")
    for number in (5, 6):
        run("figure", str(number), "--output", f"fig{number}.svg")
        assert "SIMULATED" in Path(f"fig{number}.svg").read_text()
    key = query("SELECT key FROM trial WHERE json_extract(options, '$.sde') = 1 LIMIT 1")[0][0]
    for number in (4, 7):
        run("figure", str(number), "--output", f"fig{number}.png", "--trial", key[:10])
        assert Path(f"fig{number}.png").read_bytes()[:4] == b"\x89PNG"
    assert "representations, response, search, skeletons, ranks, 4, 5, 6, 7, 8" in run(
        "figure", "9", "--output", "x.png", code=2
    )
    assert "give it with --trial" in run("figure", "4", "--output", "x.png", code=2)
    assert "page.html: 2 tables" in run("page")
    html = Path("page.html").read_text()
    assert '"id":"table5"' in html
    assert '"id":"table6"' in html
    assert "SIMULATED data." in html
