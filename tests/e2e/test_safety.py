"""Who may talk to a sweep, and what stops it: real processes, real Ray, real signals."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.cli import main as cli
from orchestrator.cli import mlflow
from tests.processes import query, start, start_anew, wait_for, write_spec

ENDLESS = 1_000_000  # epochs
JOIN = """
import sys
from orchestrator.execute.ray_cluster import connect
import ray
connect(sys.argv[1])
print(ray.get(ray.remote(lambda: "ran here").options(num_cpus=0).remote()))
"""


def invoke(*arguments: str) -> int:
    """Run a command in this process; return its exit code."""
    try:
        return cli.app(list(arguments), standalone_mode=False) or 0
    except SystemExit as stop:
        return stop.code


def join(address: str, **environment: str) -> str:
    """Run a task on a cluster from a process of its own; return all it printed."""
    base = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address],
        env=base | {"RAY_NUM_REDIS_GET_RETRIES": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr


def environment_of(process: psutil.Process) -> dict[str, str]:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ()
    return {}


@pytest.mark.slow
def test_a_stranger_is_turned_away_from_the_cluster_of_a_sweep(place):
    sweep = start(
        "sweep", str(write_spec(epochs=ENDLESS)), RAY_AUTH_MODE="disabled"
    )  # what others may have set
    try:
        wait_for(lambda: query("SELECT 1 FROM epoch_metric"))
        children = psutil.Process(sweep.pid).children(recursive=True)
        (raylet,) = [p for p in children if Path(p.cmdline()[0]).name == "raylet"]
        address = next(a.partition("=")[2] for a in raylet.cmdline() if a.startswith("--gcs-address="))
        (path,) = {Path(v) for p in children if (v := environment_of(p).get("RAY_AUTH_TOKEN_PATH"))}
        token = path.read_text()
        assert len(token) == 64
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        stranger = join(address)
        assert "Unauthenticated" in stranger
        assert "ran here" not in stranger
        assert "ran here" in join(address, RAY_AUTH_TOKEN_PATH=str(path))
        assert len(children) >= 3
        assert not [p for p in children if p.is_running() and token in " ".join(p.cmdline())]
        session = Path(
            next(
                a.partition("=")[2]
                for a in raylet.cmdline()
                if a.startswith(("--session-dir=", "--session_dir="))
            )
        )
        written = contents(session, Path("runs"))
        assert len(written) >= 10
        assert not [p for p, content in written.items() if token.encode() in content]
    finally:
        os.kill(sweep.pid, signal.SIGTERM)
        out, err = sweep.communicate(timeout=240)
    assert sweep.returncode == 130, out + err
    assert token not in out + err
    assert not path.exists()


def contents(*folders: Path) -> dict[Path, bytes]:
    """The files below the folders; a running sweep drops checkpoints between the listing and the reading."""
    read = {}
    for path in (p for folder in folders for p in folder.rglob("*") if p.is_file()):
        with contextlib.suppress(FileNotFoundError):
            read[path] = path.read_bytes()
    return read


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_deleted_folder_of_runs_stops_the_sweep_and_is_said(place, executor):
    spec = write_spec(epochs=ENDLESS, extra="lease_seconds: 3\n")
    sweep = start("sweep", str(spec), "--executor", executor)
    wait_for(lambda: query("SELECT 1 FROM epoch_metric"))
    shutil.rmtree("runs", ignore_errors=True)
    out, err = sweep.communicate(timeout=240)
    assert sweep.returncode == 1, out + err
    assert "the file was deleted or replaced" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["a%41b", "a?b", "a#b", "a b", "ünï", "a%b?c#d"])
def test_runs_lie_in_the_folder_that_is_named(place, name, monkeypatch):
    monkeypatch.setenv("DVTA_RUNS", name)
    spec = write_spec(
        epochs=1, extra="search: {trials: 1, space: {lr: {type: float, low: 0.001, high: 0.1}}}\n"
    )
    assert invoke("sweep", str(spec), "--executor", "inline") == 0
    assert {p.name for p in Path(name).iterdir()} >= {"dvta.db", "mlflow.db", "optuna.db"}
    assert sorted(p.name for p in place.iterdir() if p.name != "mlruns") == sorted([name, "spec.yaml"])
    assert invoke("report") == 0


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_closed_terminal_is_a_stop_and_a_signal_is_one_from_the_first_seconds(place, executor):
    spec = write_spec(epochs=ENDLESS)
    early = start_anew("sweep", str(spec), "--executor", executor, PYTHONUNBUFFERED="1")
    assert "to run" in early.stderr.readline()  # planned; Ray, the store and the driver are to come
    os.kill(early.pid, signal.SIGTERM)
    out, err = early.communicate(timeout=240)
    assert early.returncode == 130, out + err
    assert "run the same command again" in err
    assert "Traceback" not in err
    late = start("sweep", str(spec), "--executor", executor)
    wait_for(lambda: query("SELECT 1 FROM epoch_metric"))
    os.kill(late.pid, signal.SIGHUP)
    out, err = late.communicate(timeout=240)
    assert late.returncode == 130, out + err
    assert query("SELECT count(*) FROM attempt WHERE state = 'running'") == [(0,)]


def test_a_closed_pipe_and_a_full_disk_are_no_failed_trials(place):
    assert invoke("sweep", str(write_spec(epochs=1)), "--executor", "inline") == 0
    command = [sys.executable, "-c", "from orchestrator.cli.main import app; app()", "trials"]
    reading, writing = os.pipe()
    os.close(reading)
    for target, code, message in ((writing, 141, ""), (open("/dev/full", "w"), 2, "No space left on device")):  # noqa: SIM115
        done = subprocess.run(command, stdout=target, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (code, True, False)
    for environment in (
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_of_the_program_is_one_line_with_a_path(place, monkeypatch, capsys):
    def fail() -> None:
        raise RuntimeError("beyond\nexpectation")

    monkeypatch.setattr(mlflow, "open_store", fail)
    assert invoke("mirror") == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: RuntimeError: beyond (a mistake of this program: the traceback is in ")
    path = Path(line.partition(" is in ")[2].partition(";")[0])
    assert "expectation" in path.read_text()
    path.unlink()
    assert invoke("--debug", "mirror") == 3
    assert "Traceback" in capsys.readouterr().err


def test_damaged_and_impossible_stores_are_said_in_one_line(place, monkeypatch, capsys):
    assert invoke("sweep", str(write_spec(epochs=1)), "--executor", "inline") == 0
    content = bytearray(Path("runs/dvta.db").read_bytes())
    content[8192:40960] = bytes(40960 - 8192)
    Path("bad.db").write_bytes(content)
    capsys.readouterr()
    for url in ("sqlite:///bad.db", "sqlite://", "sqlite:///:memory:"):
        monkeypatch.setenv("DVTA_STORE", url)
        for command in (("db", "upgrade"), ("db", "check"), ("db", "export", "out")):
            assert invoke(*command) == 2, (url, command)
            assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(Exception, match="65535"):
        invoke("ui", "--port", "99999")
